"""Lucene's BM25 in process: the analysis, the index and the scores of Anserini's baselines.

This package knows texts, flat arrays and numbers; it knows no datasets and no files. From the
bottom: `word_break` and `porter` (with `word_break_ranges`), `smallfloat`, `analysis`, `segment`,
`scoring`, `search`.
"""
