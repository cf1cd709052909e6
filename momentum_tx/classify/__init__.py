"""
Bounce classification: what a refusal means, as one of Momentum's codes.

* :mod:`~momentum_tx.classify.codes`: the codes; open it first.
* :mod:`~momentum_tx.classify.rules`: rules, and the files they are read from; ours
  are in ``rules/``, in the order of their names.
* :mod:`~momentum_tx.classify.overrides`: files of an operator that go before them.
* :mod:`~momentum_tx.classify.classifier`: one text in, one code out.
* :mod:`~momentum_tx.classify.unknown`: what no rule knows, by its shape.
"""
