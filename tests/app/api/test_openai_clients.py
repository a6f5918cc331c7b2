"""/v1 as the clients that are written for OpenAI call it: the real packages, a real socket."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
from langchain_openai import OpenAIEmbeddings

from app.auth.keys import KeyFile, Scope
from app.client import Client
from app.errors import NotFound, ServiceError
from app.settings import Settings
from tests.app.client.conftest import listening

TEXTS = ["a dog barks", "rain on a roof", "a dog barks"]


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("openai")
    settings = Settings(checkpoint=str(tiny_checkpoint), data_dir=folder, device="cpu")
    with listening(settings) as url:
        yield url


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(server: str) -> np.ndarray:
    """What the service itself answers, ``[N, K * D]``."""
    with Client(server) as own:
        return np.array([vector.embedding for vector in own.embed(TEXTS).data])


def test_openai_gets_the_vectors_in_both_formats(
    client: openai.OpenAI, expected: np.ndarray
) -> None:
    answer = client.embeddings.create(model="srcid", input=TEXTS)  # in base64, by default
    np.testing.assert_allclose([own.embedding for own in answer.data], expected, rtol=1e-6)
    floats = client.embeddings.create(model="srcid", input=TEXTS[0], encoding_format="float")
    np.testing.assert_allclose(floats.data[0].embedding, expected[0], rtol=1e-6)
    assert answer.usage.total_tokens == 10


def test_openai_lists_and_finds_the_model(client: openai.OpenAI) -> None:
    (model,) = client.models.list()
    answer = client.embeddings.create(model=model.id, input="a dog")
    assert answer.model == model.id == client.models.retrieve("srcid").id
    with pytest.raises(openai.NotFoundError, match="no model 'gpt': the only one is 'srcid-"):
        client.models.retrieve("gpt")


def test_a_batch_may_have_as_many_inputs_as_openai_takes(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="srcid", input=["a dog", "rain"] * 1024)
    assert [own.index for own in answer.data] == list(range(2048))
    assert answer.data[2047].embedding == answer.data[1].embedding != answer.data[0].embedding
    with pytest.raises(openai.UnprocessableEntityError, match="at most 2048"):
        client.embeddings.create(model="srcid", input=["a dog"] * 2049)


@pytest.mark.parametrize("tokens", [[15496, 995], [[15496], [995]]])
def test_token_ids_are_refused_with_what_to_do(
    client: openai.OpenAI, tokens: list[int] | list[list[int]]
) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        client.embeddings.create(model="srcid", input=tokens)
    error = raised.value
    assert "token ids of OpenAI's tokenizers" in error.body["message"]
    assert "check_embedding_ctx_length=False" in error.body["message"]
    assert error.type == "invalid_request_error"
    assert error.code == "invalid-request"
    assert error.request_id


def test_an_unknown_call_is_an_openai_error_too(client: openai.OpenAI, server: str) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.completions.create(model="srcid", prompt="a dog")
    assert raised.value.body["message"].startswith("there is no POST /v1/completions")
    # Our own client reads the same error as the problem that it also is.
    with Client(server) as own, pytest.raises(ServiceError, match="at least one word"):
        own.embed(" ")
    with Client(server) as own, pytest.raises(NotFound) as other:
        own.get("x")
    assert other.value.status == 404


def test_keys_and_limits_are_openais_errors(settings: Settings) -> None:
    secret = KeyFile(settings.data_dir).add("reader", Scope.READ)
    limited = settings.model_copy(update={"max_requests_per_minute": 1})
    with listening(limited) as url:
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as other,
            pytest.raises(openai.AuthenticationError) as refused,
        ):
            other.models.list()
        assert refused.value.type == "authentication_error"
        with openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as own:
            own.models.list()
            with pytest.raises(openai.RateLimitError) as late:
                own.embeddings.create(model="srcid", input="a dog")
        assert late.value.type == "rate_limit_error"
        assert int(late.value.response.headers["Retry-After"]) > 0


def test_langchain_embeds_documents_and_queries(server: str, expected: np.ndarray) -> None:
    langchain = OpenAIEmbeddings(
        model="srcid", base_url=f"{server}/v1", api_key="none", check_embedding_ctx_length=False
    )
    np.testing.assert_allclose(langchain.embed_documents(TEXTS), expected, rtol=1e-6)
    np.testing.assert_allclose(langchain.embed_query(TEXTS[1]), expected[1], rtol=1e-6)
    assert len(langchain.embed_documents(["rain"] * 1500)) == 1500  # two of its batches
    langchain.client._client.close()


def test_llama_index_embeds_documents_and_queries(server: str, expected: np.ndarray) -> None:
    # Not installed with the other tools: it brings 38 packages.
    module = pytest.importorskip("llama_index.embeddings.openai")
    llama = module.OpenAIEmbedding(model_name="srcid", api_base=f"{server}/v1", api_key="none")
    np.testing.assert_allclose(llama.get_text_embedding_batch(TEXTS), expected, rtol=1e-6)
    np.testing.assert_allclose(llama.get_query_embedding(TEXTS[1]), expected[1], rtol=1e-6)
    assert len(llama.get_text_embedding_batch(["rain"] * 250)) == 250  # three of its batches
