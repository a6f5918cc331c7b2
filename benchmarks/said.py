"""What people say of things without the word that stands in a list of classes, or around it.

Written down before anything was measured on it, two sentences for each class of recorded sounds in
the banks of the benchmark, and for some of the classes of photos.
"""

from model.modality import Modality

SAID: dict[Modality, dict[str, tuple[str, str]]] = {
    Modality.AUDIO: {
        "accordion": ("someone squeezes a squeezebox at a folk dance", "accordion music playing"),
        "baby cry": ("a baby is crying", "an infant wails"),
        "chainsaw": ("a lumberjack cuts a tree with a motor saw", "a chainsaw is running"),
        "clock": ("a clock ticks", "ticking of a wall clock"),
        "dog": ("a dog barks", "a puppy is barking loudly"),
        "electric guitar": ("a distorted guitar riff", "rock guitar solo with an amplifier"),
        "euphonium": ("a brass band player blows the euphonium", "low brass horn melody"),
        "fire crackling": ("a campfire burns and crackles", "wood burning in the fireplace"),
        "helicopter": ("a chopper hovers overhead", "rotor blades thumping in the air"),
        "mandolin": ("someone strums a mandolin", "plucked mandolin strings"),
        "piano": ("someone plays the piano", "piano keys being pressed"),
        "rain": ("it is raining heavily", "raindrops fall on the roof"),
        "rooster": ("a rooster crows at dawn", "a cock crowing on the farm"),
        "saxophone": ("a jazz player blows the sax", "saxophone solo"),
        "sea": ("waves crash on the beach", "ocean surf"),
        "sneeze": ("a man sneezes", "achoo, somebody has a cold"),
    },
    Modality.VIDEO: {
        "airplanes": ("a jet is landing", "a passenger plane at the airport"),
        "bonsai": ("a tiny tree in a pot", "miniature japanese tree"),
        "butterfly": ("an insect with colourful wings on a flower", "a butterfly sits on a leaf"),
        "chandelier": ("a lamp with many lights hangs from the ceiling", "a crystal light fixture"),
        "clock": ("what time is it", "a dial with hands on the wall"),
        "crab": ("an animal with claws on the beach", "a crab walks sideways"),
        "crocodile": ("a dangerous reptile in the river", "a croc with open jaws"),
        "dog": ("man's best friend", "a puppy plays in the garden"),
        "dolphin": ("a clever animal jumps out of the sea", "a dolphin swims"),
        "elephant": ("a huge grey animal with a trunk", "an elephant walks in the savanna"),
        "ferry": ("a boat carries cars across the water", "a big passenger ship"),
        "flamingo": ("a pink bird stands on one leg", "flamingos in shallow water"),
        "helicopter": ("a chopper hovers over the field", "an aircraft with rotor blades"),
        "hedgehog": ("a small animal full of spikes", "a hedgehog in the grass"),
        "kangaroo": ("an australian animal hops", "a kangaroo with its joey"),
        "laptop": ("a portable computer on a desk", "a notebook pc with an open screen"),
        "lobster": ("seafood with big claws", "a red lobster"),
        "motorbikes": ("someone rides a motorcycle", "a bike with an engine"),
        "panda": ("a black and white bear eats bamboo", "a panda in the zoo"),
        "piano": ("someone plays the piano", "black and white keys"),
        "pizza": ("italian food with cheese and tomato", "a slice of pizza"),
        "pyramid": ("ancient tombs in egypt", "a stone pyramid in the desert"),
        "rain": ("it is raining in the street", "people with wet clothes in a shower"),
        "revolver": ("a handgun", "a pistol with a cylinder"),
        "rooster": ("a cock on the farm", "a male chicken with a red comb"),
        "saxophone": ("a brass coloured instrument of jazz", "someone plays the sax"),
        "scissors": ("a tool that cuts paper", "a pair of scissors"),
        "sea": ("waves on the ocean", "a beach with surf"),
        "stop sign": ("a red traffic sign", "drivers have to halt here"),
        "strawberry": ("a sweet red fruit", "fresh strawberries"),
        "sunflower": ("a tall yellow flower", "sunflowers in a field"),
        "umbrella": ("it keeps the rain off", "an open umbrella"),
        "watch": ("it is worn on the wrist and tells the time", "a wristwatch"),
        "wheelchair": ("a chair for somebody who cannot walk", "a seat with large wheels"),
    },
}
