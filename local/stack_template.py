"""The built template as the local AWS can make it: all that is taken out or changed is listed here."""

import copy
from collections.abc import Iterator
from typing import Any

# Types that the engine does not know, even if a condition keeps them out.
UNKNOWN_TYPES = {
    "AWS::EC2::SecurityGroupIngress",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyTargetGroup",
}
ANY_METHOD = "x-amazon-apigateway-any-method"
METHODS = ("delete", "get", "head", "options", "patch", "post", "put")


def for_engine(template: dict[str, Any]) -> dict[str, Any]:
    """A copy of the template without what the engine cannot make.

    Out go the types that it does not know, alarms that calculate, and the dashboard, which shows them; and the bucket's
    policy, which wants the TLS that the engine does not have. The API gets an entry for each method in place of one for
    all others, and functions speak to their database without TLS, which the embedded PostgreSQL does not have.
    """
    template = copy.deepcopy(template)
    template["Resources"] = {name: each for name, each in template["Resources"].items() if not _is_left_out(each)}
    for mapping in list(_mappings(template["Resources"])):
        if ANY_METHOD in mapping:
            any_method = mapping.pop(ANY_METHOD)
            mapping.update({method: any_method for method in METHODS if method not in mapping})
        if "PGSSLMODE" in mapping:
            mapping["PGSSLMODE"] = "disable"
    return template


def _is_left_out(resource: dict[str, Any]) -> bool:
    is_calculated = "Metrics" in resource.get("Properties", {})
    return resource["Type"] in UNKNOWN_TYPES or is_calculated or resource["Type"] == "AWS::S3::BucketPolicy"


def _mappings(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(child)
