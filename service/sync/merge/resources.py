"""Two versions of one resource made one, narrative included: merge, applied to what we know. Pure."""

from fhir_mappings import narrative, r4
from fhir_mappings.errors import Finding, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.lens.mapping import refuse_unknown_modifier
from fhir_mappings.resources import BY_RESOURCE_TYPE
from service.sync.merge import grain
from service.sync.merge.three_way import Merged, Side, merge


def reconcile(
    here_before: Tree, here: Tree, there_before: Tree, there: Tree, *, prefer: Side | None = None
) -> Merged:
    """Merge, all four in the words of one side; a narrative of ours is made anew where something changed."""
    resource_type = str(here.get("resourceType"))
    cut = grain.of_resource_type(resource_type)
    ours = narrative.is_generated(here.get("text")) or narrative.is_generated(there.get("text"))
    merged = merge(
        here_before, here, there_before, there, cut, prefer=prefer, apart=("text", "_text") if ours else ()
    )
    if not ours:
        return merged
    if here.get("text") != there.get("text") and not narrative.is_generated(there.get("text")):
        # Somebody there told it in their own words; ours would contradict them.
        there_text = {"text": there["text"]} if "text" in there else {}
        kept = {key: value for key, value in merged.here.items() if key != "text"}
        return Merged({**kept, **there_text}, merged.there, merged.conflicts)
    return Merged(_narrated(merged.here, here), _narrated(merged.there, there), merged.conflicts)


def onto(here_before: Tree, here: Tree, body: Tree) -> Tree:
    """Return the server's copy with what changed here; ``body`` itself if that is nothing.

    Raises MappingError where the copy has a modifier that is unknown here.
    """
    changed = reconcile(here_before, here, body, body).there
    if changed == body:
        return body
    if any(
        body.get(name) != here.get(name) for name in ("modifierExtension", "implicitRules", "_implicitRules")
    ):
        try:
            refuse_unknown_modifier(body)
        except MappingError as error:
            raise error.under(str(body.get("resourceType"))) from None
    return changed


def not_to_be_taken(body: Tree) -> list[Finding]:
    """Return why a resource of a server's cannot be taken for a record's copy, if so."""
    return r4.check(body) or unreadable(body)


def unreadable(tree: Tree) -> list[Finding]:
    """Return why a tree that passed the guard cannot be one of our records, if so."""
    mapping = BY_RESOURCE_TYPE.get(str(tree.get("resourceType")))
    try:
        if mapping:
            mapping.read(tree)
    except MappingError as error:
        return [error.finding]
    return []


def _narrated(tree: Tree, original: Tree) -> Tree:
    """Return the tree with its narrative made anew, if it is ours and the tree was changed."""
    mapping = BY_RESOURCE_TYPE.get(str(tree.get("resourceType")))
    if mapping is None or tree == original or not narrative.is_generated(tree.get("text")):
        return tree
    return {**tree, "text": mapping.write(mapping.read(tree)).get("text", tree["text"])}
