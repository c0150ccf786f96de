"""``python -m service.openapi`` writes openapi.yaml from the routes; a test holds the two equal."""

from pathlib import Path

from service.app import create_app
from service.config import Config
from service.routes.openapi import as_yaml

PATH = Path(__file__).parents[1] / "openapi.yaml"


def main() -> None:
    """Write openapi.yaml beside the packages."""
    app = create_app(Config(database_url="sqlite://"))
    PATH.write_text(as_yaml(app.extensions["openapi"]), encoding="utf-8")


if __name__ == "__main__":
    main()
