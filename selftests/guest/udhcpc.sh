#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What udhcpc calls: gives the interface the address that came.
# shellcheck disable=SC2154 # udhcpc sets them

[ "$1" = bound ] || exit 0
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
ip route replace default via "$router" dev "$interface"
