# SPDX-License-Identifier: GPL-2.0-only
"""The commands of scripts/suite.  A module is a command of the same name.  scripts/suite calls its main(), and
scripts/suite --help prints the first line of its docstring."""
