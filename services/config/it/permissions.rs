//! Every method of every package has an entry in the permission table, and the service asks it.

use std::collections::BTreeSet;

use assay_platform::access::permissions;
use prost::Message;
use prost_types::FileDescriptorSet;

/// `assay.config.v1.FlagService/GetFlag` and so on, of all packages.
fn methods() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(assay_proto::DESCRIPTORS).unwrap();
    let mut methods = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    methods
}

#[test]
fn every_method_has_an_entry_in_the_permission_table() {
    let methods = methods();
    assert!(methods.len() > 30, "{methods:?}");
    let missing: Vec<_> = methods
        .iter()
        .filter(|method| permissions::permission(method).is_none())
        .collect();
    assert!(
        missing.is_empty(),
        "nobody may call these; add their lines to crates/platform/src/access/permissions.rs: {missing:#?}"
    );
}
