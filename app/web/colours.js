/** One colour for each code, the same wherever the code shows. */

const GOLDEN_ANGLE = 137.508; // degrees: codes with neighbouring numbers lie far apart
const LIGHTNESS = [0.66, 0.74, 0.58];

/** Return the colour of a code, legible on light and dark. @param {number} row @param {number} code */
export function colourOf(row, code) {
  const turn = code + row * 0.37;
  const hue = (turn * GOLDEN_ANGLE) % 360;
  const chroma = 0.15 - 0.05 * (row % 2); // the rows of a strip can be told apart
  return `oklch(${LIGHTNESS[code % 3]} ${chroma.toFixed(2)} ${hue.toFixed(1)})`;
}
