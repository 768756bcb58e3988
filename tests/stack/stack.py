"""Reading the template: SAM's own translation of it, and ways to look through it."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
ARTIFACT = {"Bucket": "artifacts", "Key": "artifact.zip"}


def read_template() -> dict[str, Any]:
    """The template, with its short tags as mappings."""
    return dict(yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8")))


def transformed(template: dict[str, Any]) -> dict[str, Any]:
    """What SAM makes of the template, once its code lies in S3."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        for location in {"CodeUri", "ContentUri", "DefinitionUri"} & resource["Properties"].keys():
            resource["Properties"][location] = ARTIFACT
    return dict(Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION)).translate(template, {}))


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of a type, by their names."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def mappings(node: object) -> Iterator[dict[str, Any]]:
    """Every mapping in a part of the template, both branches of a condition included."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(child)
