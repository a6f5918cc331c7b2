"""/livez, /readyz, /model, /docs and the schema."""

from starlette.testclient import TestClient

from app.settings import Settings


def test_the_service_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_the_model_tells_what_is_served(client: TestClient, settings: Settings) -> None:
    model = client.get("/model").json()
    assert model["checkpoint"] == settings.checkpoint
    assert len(model["fingerprint"]) == 16
    assert model["modalities"]["audio"] == {"backbone": "tiny-audio", "feature_shape": [8]}
    assert model["modalities"].keys() == {"audio", "video", "text"}
    assert model["code_layers"] == [1, 2]
    assert model["codebook_sizes"] == [32, 32]
    assert model["num_items"] == 0
    assert model["limits"]["max_upload_bytes"] == 2**20


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert client.get("/docs").status_code == 200


def test_the_schema_describes_both_bodies_and_every_problem(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert "$defs" not in str(schema)
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    paths = {path for path, _, _ in operations}
    assert {"/encode", "/search", "/items", "/items/{id}", "/livez", "/model"} <= paths
    for path, method, operation in operations:
        assert operation["description"], (path, method)
        if method in {"post", "put"}:
            content = operation["requestBody"]["content"]
            assert "application/json" in content
            form = content.get("multipart/form-data", {}).get("schema", {})
            assert form == {} or "file" in form["properties"]
        for status, answer in operation["responses"].items():
            if status >= "400" and status != "416":  # of ranges, which the framework answers
                assert answer["content"].keys() == {"application/problem+json"}, (path, status)
