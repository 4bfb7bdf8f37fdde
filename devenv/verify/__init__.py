"""Proof that an environment works: isolated copies of a stack, criteria, verdicts, evidence, history, reports.

`devenv.verify.plugin` is the pytest plugin; everything else here knows nothing of pytest.
"""
