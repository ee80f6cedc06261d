//! The packed columns of `alert`, in the formats of [`common::packed`].

use common::{Delivery, packed};

pub(crate) use packed::{
    Damaged, Input, PackedDelivery, pack_targets, pick_deliveries, put_varint, unpack_deliveries,
    unpack_targets,
};

pub(crate) fn pack_deliveries(deliveries: &[Delivery]) -> Vec<u8> {
    packed::pack_deliveries(deliveries.iter().map(|delivery| {
        let Delivery {
            destination,
            credential,
            recipients,
        } = delivery;
        (destination.id, credential.id, &recipients[..])
    }))
}
