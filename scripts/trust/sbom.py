"""`make sbom`: writes CycloneDX bills of materials of the Python service and of the web client into dist/.

The same lock files give the same bytes: the time is that of the last commit, or SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as CycloneComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from app import __version__
from scripts.trust.components import ROOT, Component, python_components, web_components
from scripts.trust.epoch import source_date_epoch

NAMESPACE = uuid.UUID("8f3e2f0e-5b0c-4b39-9a2c-6f2b6f1f7f10")
"""Of the serial numbers, which are made of the content."""
BILLS = {
    "python": ("parley", "The service.", python_components),
    "web": ("parley-web", "The web client that the service serves.", web_components),
}


def bill(kind: str) -> str:
    """A bill of materials as JSON. Raises AssertionError when it is not as the schema of CycloneDX 1.6 says."""
    name, description, listed = BILLS[kind]
    licences = LicenseFactory()

    def component(one: Component) -> CycloneComponent:
        return CycloneComponent(
            bom_ref=one.purl,
            type=ComponentType.LIBRARY,
            name=one.name,
            version=one.version,
            purl=PackageURL.from_string(one.purl),
            licenses=[licences.make_from_string(one.licence)],
            hashes=[HashType(alg=HashAlgorithm.SHA_512, content=one.sha512)] if one.sha512 else [],
        )

    root = CycloneComponent(
        bom_ref=name,
        type=ComponentType.APPLICATION,
        name=name,
        version=__version__,
        description=description,
        licenses=[licences.make_from_string("MIT")],
    )
    components = listed()
    made = {one.purl: component(one) for one in components}
    bom = Bom(components=made.values())
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(source_date_epoch(), UTC)
    bom.register_dependency(root, [made[one.purl] for one in components if one.is_direct])
    for one in components:
        bom.register_dependency(made[one.purl], [made[purl] for purl in one.needs])
    bom.serial_number = uuid.uuid5(NAMESPACE, json.dumps([str(one) for one in components] + [root.version]))
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert wrong is None, wrong
    return text


def main() -> None:
    folder = ROOT / "dist"
    folder.mkdir(exist_ok=True)
    for kind in BILLS:
        path = folder / f"parley-{__version__}-{kind}.cdx.json"
        text = bill(kind)
        path.write_text(text + "\n")
        print(f"{path.relative_to(ROOT)}: {len(json.loads(text)['components'])} components")


if __name__ == "__main__":
    main()
