# SPDX-License-Identifier: GPL-2.0-only
"""Gives devices of the test VM to a guest inside of it, by QEMU, on both cores.

    scripts/host/enter scripts/suite test-guest [--cores c,rust] [--modes iommufd,compat,legacy] [SCENARIO...]

The scenarios, and what each shows, are in selftests/guest/scenarios.py."""


from suites import guest_tests, suite


def main():
    parser = suite.arguments("runs guests inside of the test VM")
    suite.modes_argument(parser, guest_tests.MODES, "how QEMU opens devices")
    parser.set_defaults(memory="2G")
    options = suite.parse(parser)
    names = suite.scenarios(options, guest_tests.SCENARIOS, guest_tests.MODES)
    return suite.run(options, guest_tests.boots(options, suite.archive(options), options.modes, names,
                                                memory=options.memory))
