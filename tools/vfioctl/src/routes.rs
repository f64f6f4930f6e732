// SPDX-License-Identifier: GPL-2.0-only

//! Default routes of every table, which the kernel tells by netlink; files in /proc have fewer.

use std::collections::BTreeSet;
use std::fs;

use netlink_packet_core::{
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// The interfaces that default routes lead to, on this machine.
pub fn defaults() -> std::io::Result<BTreeSet<String>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut request = NetlinkMessage::new(
        header,
        NetlinkPayload::from(RouteNetlinkMessage::GetRoute(RouteMessage::default())),
    );
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut numbers = BTreeSet::new();
    loop {
        let (packet, _) = socket.recv_from_full()?;
        if packet.is_empty() || !read(&packet, &mut numbers) {
            return Ok(names(&numbers));
        }
    }
}

/// Takes the messages of a packet; does more come?
fn read(packet: &[u8], numbers: &mut BTreeSet<u32>) -> bool {
    let mut rest = packet;
    while !rest.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) else {
            return false;
        };
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
                numbers.extend(interfaces(&route))
            }
            NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return false,
            _ => {}
        }
        // Messages begin at multiples of four.
        let length = (message.header.length as usize).next_multiple_of(4);
        match rest.get(length..) {
            Some(next) if length > 0 => rest = next,
            _ => return true,
        }
    }
    true
}

/// Where a route leads to, if it is one for all destinations.
fn interfaces(route: &RouteMessage) -> Vec<u32> {
    if route.header.destination_prefix_length != 0 || route.header.kind != RouteType::Unicast {
        return Vec::new();
    }
    route
        .attributes
        .iter()
        .flat_map(|attribute| match attribute {
            RouteAttribute::Oif(number) => vec![*number],
            RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
            _ => Vec::new(),
        })
        .collect()
}

fn names(numbers: &BTreeSet<u32>) -> BTreeSet<String> {
    let number = |name: &str| {
        fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let Ok(folder) = fs::read_dir("/sys/class/net") else {
        return BTreeSet::new();
    };
    folder
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| number(name).is_some_and(|number: u32| numbers.contains(&number)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(length: u8, kind: RouteType, number: u32) -> Vec<u8> {
        let mut route = RouteMessage::default();
        route.header.destination_prefix_length = length;
        route.header.kind = kind;
        route.header.table = 77;
        route.attributes.push(RouteAttribute::Oif(number));
        let mut message = NetlinkMessage::new(
            NetlinkHeader::default(),
            NetlinkPayload::from(RouteNetlinkMessage::NewRoute(route)),
        );
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    #[test]
    fn defaults_of_any_table() {
        let packets = [
            packet(24, RouteType::Unicast, 2),
            packet(0, RouteType::Unicast, 3),
            packet(0, RouteType::BlackHole, 4),
        ]
        .concat();
        let mut numbers = BTreeSet::new();
        assert!(read(&packets, &mut numbers));
        assert_eq!(numbers, BTreeSet::from([3]));
    }

    #[test]
    fn broken_packets() {
        let whole = packet(0, RouteType::Unicast, 3);
        for length in 0..whole.len() {
            let mut numbers = BTreeSet::new();
            read(whole.get(..length).unwrap_or_default(), &mut numbers);
            assert!(numbers.is_empty(), "{length}");
        }
    }

    #[test]
    fn of_this_machine() {
        // Whatever it has: the question is answered.
        assert!(defaults().is_ok());
    }
}
