"""The JSON Schema of one project: that of the language, and the user's own functions in it.

``call`` completes the functions of the modules that are there, ``with`` their parameters; with the
stages of one file also ``inputs``. All of it is read from source, nothing is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.config.own_project import Project
from pipeflow.config.own_words import described_call, described_parameter, summary_of
from pipeflow.config.schema.annotations import annotation_schema
from pipeflow.config.schema.edges import looks_like_edge
from pipeflow.config.schema.nodes import Schema, both, described, has, one_of, option_schema
from pipeflow.config.schema.operators import with_schema
from pipeflow.config.schema.own import Own
from pipeflow.config.schema.root import pipeline_schema
from pipeflow.spec.language import STAGE
from pipeflow.spec.pipeline import Pipeline, PortRef
from pipeflow.spec.policies import OnError
from pipeflow.spec.ports import ERRORS, UNMATCHED
from pipeflow.spec.stage_type import CallFacts, Parameter, StageType
from pipeflow.values import replace

#: By what is no part of a name: editors take ``\w`` for ASCII alone, Python does not.
_NAME: Final = r"[^\s\d.:/\\()${}~-][^\s.:/\\()${}~-]*"
_DOTTED: Final = rf"{_NAME}(?:\.{_NAME})*"
_UNKNOWN: Final = (
    "no such function was there when this schema was written;"
    " if it is new, run 'pipeflow schema' again"
)


def project_schema(
    stage_types: Mapping[str, StageType],
    project: Project,
    pipeline: Pipeline | None = None,
    parts: Mapping[str, Pipeline] | None = None,
) -> Schema:
    """The schema of a project.

    Args:
        stage_types: The operators, those of plug-ins too.
        project: What can be called.
        pipeline: The one file that it is for, if ``inputs`` shall know its stages.
        parts: What stands behind ``pipeline`` in some stage, and the file that it names.
    """
    known = {call: facts for call, facts in project.targets.items() if facts.parameters}
    plugins = {name: facts for name, facts in project.plugins.items() if facts.parameters}
    return pipeline_schema(
        {name: _documented(one, project) for name, one in stage_types.items()},
        Own(
            call=_call(project),
            calls=[
                *([_by_call(known)] if known else []),
                *map(_by_use, plugins.items()),
                *(_by_file(name, part) for name, part in (parts or {}).items()),
            ],
            definitions={
                _key(name): _definitions(name, facts) for name, facts in (known | plugins).items()
            },
            ports=ports_of(pipeline) if pipeline is not None else {},
        ),
    )


def _documented(operator: StageType, project: Project) -> StageType:
    """An operator of a plug-in with the first words of its docstring: its metadata has none."""
    facts = project.plugins.get(operator.name)
    if facts is None or operator.summary:
        return operator
    return replace(operator, summary=summary_of(operator.name, facts))


def _by_use(plugin: tuple[str, CallFacts]) -> Schema:
    """What ``with`` may hold for an operator of a plug-in; defaults may stand elsewhere."""
    name, facts = plugin
    takes = [one for one in facts.parameters if facts.is_class or not one.positional]
    then = _with(name, facts, takes or facts.parameters, required=False)
    return {"if": has("use", {"const": name}), "then": then}


def _by_file(name: str, part: Pipeline) -> Schema:
    """What ``with`` may hold, and ``inputs`` name, for a stage that runs a file."""
    made = {each.name: option_schema(each, "language#files-as-stages") for each in part.declared}
    needed = [each.name for each in part.declared if each.required]
    then = with_schema(name, made, needed)
    if len(part.inputs) > 1:
        # The names alone, for completion: what an edge is says the stage.
        ports = {port.name: {**both(port.name, _fed(port.name, part))} for port in part.inputs}
        inputs = {"if": {"type": "object"}, "then": {"properties": _with_colon(ports)}}
        then["properties"]["inputs"] = inputs
    return {"if": has("pipeline", {"const": name}), "then": then}


def _fed(port: str, part: Pipeline) -> str:
    return f"What feeds input `{port}` of `{part.name}`."


def _with_colon(ports: Mapping[str, Schema]) -> Schema:
    """An empty `anyOf` never fails; an editor then puts a colon behind the key."""
    return {name: {**node, "anyOf": [{}]} for name, node in ports.items()}


def ports_of(pipeline: Pipeline) -> dict[str, str]:
    """What edges of a file may read, each with what to say of it."""
    ports = {port.name: f"Input `{port.name}` of this file." for port in pipeline.inputs}
    for stage in pipeline.stages:
        about = stage.description or f"What stage `{stage.name}` gives."
        if stage.inner is not None:
            # Dead letters that come out of it are offered too, whether there are any or not.
            for port in (*(each.name for each in stage.inner.outputs), ERRORS):
                ports[str(PortRef(stage.name, port))] = f"Port `{port}` of stage `{stage.name}`."
            continue
        ports[stage.name] = about
        extra = [*stage.outputs]
        extra += [ERRORS] * (stage.on_error.then is OnError.DEAD_LETTER)
        extra += [UNMATCHED] * stage.named_inputs
        for port in extra:
            ports[f"{stage.name}.{port}"] = f"Port `{port}` of stage `{stage.name}`."
    return ports


def _call(project: Project) -> Schema:
    node = described(STAGE.declared("call"), "writing-stages")
    del node["examples"]  # they would stand before the functions that there are
    message = "must be 'module:function'"
    node |= {"type": "string", "errorMessage": message}
    form = {"pattern": rf"^{_DOTTED}:{_DOTTED}$", "errorMessage": message}
    if not project.targets:
        return {**node, "allOf": [form]}
    targets = list(project.targets)
    known = [
        {
            "const": call,
            "title": f"call: {call}",
            "description": summary_of(call, facts),
            "markdownDescription": described_call(call, facts),
        }
        for call, facts in project.targets.items()
    ]
    members = [form, one_of(targets, _UNKNOWN, unless=_free(project))]
    return {**node, "anyOf": [*known, {"not": {"enum": targets}}], "allOf": members}


def _free(project: Project) -> str:
    """Texts that may be calls all the same, though nobody would offer them.

    Methods, private and imported names, all of a module that does not tell its names; and what has
    not the form of a call, which is told by its form.
    """
    patterns = ["^[^:]*$"]
    for module in sorted(project.modules):
        name, names = re.escape(module), project.names.get(module)
        patterns.append(f"^{name}:" if names is None else rf"^{name}:[^.]*\.")
        if names:
            patterns.append(f"^{name}:(?:{'|'.join(map(re.escape, sorted(names)))})$")
    return "|".join(patterns)


def _by_call(known: Mapping[str, CallFacts]) -> Schema:
    """What ``with`` may hold, by the function that ``call`` names."""
    cases = [
        {"if": has("call", {"const": call}), "then": _parameters(call, facts)}
        for call, facts in known.items()
    ]
    only_call = {"type": "object", "required": ["call"], "not": {"required": ["use"]}}
    return {"if": only_call, "then": {"allOf": cases}}


def _parameters(call: str, facts: CallFacts) -> Schema:
    """Which parameters are free depends on how the items come."""
    if facts.is_class:
        return _with(call, facts, facts.parameters)
    positional = [one for one in facts.parameters if one.positional][:1]
    rest = [one for one in facts.parameters if one not in positional]
    if not positional:
        return _with(call, facts, facts.parameters)
    # Named inputs take the arguments of their names; which these are only `validate` tells.
    named = {"type": "object", "not": looks_like_edge()}
    return {
        "if": has("inputs", named),
        "then": _with(call, facts, facts.parameters, required=False),
        "else": {
            "if": has("inputs"),
            "then": _with(call, facts, rest),
            "else": _with(call, facts, facts.parameters),
        },
    }


def _with(
    call: str, facts: CallFacts, parameters: Sequence[Parameter], *, required: bool = True
) -> Schema:
    free = [one for one in parameters if one.keyword]
    needed = [one.name for one in free if one.required] if required else []
    at = f"#/definitions/{_key(call)}/properties"
    refs = {one.name: {"$ref": f"{at}/{one.name}"} for one in free}
    return with_schema(facts.name or call, refs, needed, others=facts.open_ended)


def _key(call: str) -> str:
    """Under what the parameters of a function stand; older editors know no escaped slash."""
    return call.replace("/", "-")


def _definitions(call: str, facts: CallFacts) -> Schema:
    """The parameters of one function, once for all the ways in which items may come."""
    made = {}
    for one in facts.parameters:
        plain, markdown = described_parameter(call, facts, one)
        node = annotation_schema(one.kind, one.name)
        # An empty `anyOf` never fails; an editor then puts a colon behind the key.
        words = {"title": one.name, "description": plain, "markdownDescription": markdown}
        made[one.name] = {**words, **(node or {"anyOf": [{}]})}
    return {"properties": made}
