"""
Build script; metadata lives here, tools are configured in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="momentum_tx",
    version="26.11.0",
    description="The outbound side of the Momentum mail server, on Twisted",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    author="the momentum_tx developers",
    python_requires=">=3.11",
    # twisted.plugins has no __init__.py, so find_packages would not see it.
    packages=[*find_packages(include=["momentum_tx", "momentum_tx.*"]), "twisted.plugins"],
    package_data={"momentum_tx": ["py.typed", "classify/rules/*.toml", "logs/*.json"]},
    install_requires=[
        "twisted[tls]>=26.4",
        "service-identity>=24.2",
        "pyopenssl>=26.2",
        "zope.interface>=8",
        "dnspython>=2.7",
        "idna>=3.7",
    ],
    extras_require={
        "test": [
            "aiosmtpd>=1.4.6",
            "dkimpy[ed25519]>=1.1",
            "flufl.bounce>=4.0",
            "hypothesis>=6.100",
            "jsonschema>=4.17",
        ],
        "lint": ["ruff>=0.17", "mypy>=2.4", "mypy-zope>=1.0.17"],
    },
    entry_points={"console_scripts": ["momentum-tx = momentum_tx.cli:main"]},
    classifiers=[
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Communications :: Email :: Mail Transport Agents",
        "Typing :: Typed",
    ],
)
