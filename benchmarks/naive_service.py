"""The endpoint that one would write first: no queue, no workers, no limits. A peer to compare with.

python -m benchmarks.naive_service --port 8001
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer
import uvicorn
from fastapi import Body, FastAPI, UploadFile

from model.encoder import Encoder
from model.media import DecodeConfig, read_clip


def create_app(checkpoint: str) -> FastAPI:
    """Return the app."""
    torch.set_num_threads(1)
    encoder = Encoder.from_pretrained(checkpoint)
    config = DecodeConfig(max_steps=60)
    app = FastAPI()

    @app.get("/livez")
    @app.get("/readyz")
    def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.post("/encode")
    def encode(file: UploadFile) -> dict[str, list[list[int]]]:
        with TemporaryDirectory() as folder:
            path = Path(folder, "upload")
            path.write_bytes(file.file.read())
            codes = encoder.encode(read_clip(path, config))
        return {modality: own.tolist() for modality, own in codes.items()}

    @app.post("/sentence")
    def sentence(text: Annotated[str, Body(embed=True)]) -> list[list[int]]:
        return encoder.encode(text)["text"].tolist()

    return app


def main(port: int = 8001, checkpoint: str = "default") -> None:
    """Serve on this machine."""
    uvicorn.run(create_app(checkpoint), port=port, log_level="warning")


if __name__ == "__main__":
    typer.run(main)
