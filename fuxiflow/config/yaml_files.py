"""YAML files whose keys are unique: of two that are equal PyYAML takes the last without a word, as does Snakemake."""

from pathlib import Path

import yaml


class _UniqueKeys(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"key {key.value!r} stands here a second time: keep one of the two",
                    key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: Path):
    """What a YAML file holds; :class:`yaml.YAMLError` names the line where it is none or a key is repeated."""
    with Path(path).open() as stream:
        return yaml.load(stream, _UniqueKeys)
