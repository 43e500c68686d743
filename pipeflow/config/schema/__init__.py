"""The JSON Schema of pipeline files, made from the declarations of the language and the operators.

Draft-07, closed objects, unions told apart by ``if``/``then`` and never by ``oneOf``: that is what
editors answer well (``nodes`` says more). ``shape`` runs the same schema, so editor and command
line agree.

    root ──> stage ──> operators   ``use``, ``with``
     │         ├─────> edges       ``inputs``
     │         ├─────> parts       ``pipeline``; inputs and outputs of a file
     │         └─────> settings    ``run``, ``resources``, ``join``, ``env``
     └─────> shared, tests

``project`` adds to it what is known of one project (``own``).
"""
