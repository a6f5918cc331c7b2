"""Retrieve videos, sounds, pictures and sentences of a running server for a LangChain chain.

srcid serve &
pip install langchain-core
python examples/retrieve_with_langchain.py "a dog barks" http://127.0.0.1:8000
"""

import sys

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from srcid import Client


class SRCIDRetriever(BaseRetriever):
    """Finds what is most similar to a sentence; the metadata say where, and how similar."""

    url: str = "http://127.0.0.1:8000"
    k: int = 5

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        with Client(self.url) as client:
            hits = client.search(query, k=self.k).hits
        return [
            Document(hit.text or hit.id, id=hit.id, metadata=hit.model_dump(exclude={"text", "id"}))
            for hit in hits
        ]


def main(query: str, url: str = "http://127.0.0.1:8000") -> None:
    for document in SRCIDRetriever(url=url, k=3).invoke(query):
        found = document.metadata
        print(f"{found['score']:+.3f}  {found['modality']}  {document.page_content}")


if __name__ == "__main__":
    main(*sys.argv[1:])
