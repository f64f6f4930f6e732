# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests on kernels that lack what VFIO can do without, and on kernels built in other ways.

    scripts/host/enter scripts/suite test-variants [--variants nogroup,noiommufd] [--cores c,rust] [PATTERN...]
    scripts/host/enter scripts/suite test-variants --list [--variants ...]

selftests/plan.toml says which programs run where, on both cores."""


from suites import variants


def main():
    parser = variants.arguments("runs the tests on kernels built in other ways")
    return variants.main(variants.read_plan("variants"), parser, user_space="base")
