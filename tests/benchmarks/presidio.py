"""Presidio's analyzer as the benchmarks start it."""

from __future__ import annotations

import os
from typing import Any


def start_analyzer() -> Any:
    """Every predefined recogniser for English; without a language model unless `PRESIDIO_MODEL` names one that is installed."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider, SpacyNlpEngine

    class Blank(SpacyNlpEngine):  # type: ignore[misc]
        """English words without a model: Presidio's rules, and no names."""

        def load(self) -> None:
            import spacy

            self.nlp = {"en": spacy.blank("en")}

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its own list: no look-up on the network
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    model = os.environ.get("PRESIDIO_MODEL", "")
    if model:
        names = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
        engine = NlpEngineProvider(nlp_configuration=names).create_engine()
    else:
        engine = Blank()
        engine.load()
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
