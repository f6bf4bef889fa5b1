use assay_storage::config_bus::{Publication, View};

/// Does to `view` what a successful `publication` has done to the bus.
pub(super) fn apply(view: &mut View, publication: Publication) {
    let held = view.namespaces.entry(publication.namespace).or_default();
    held.resources.extend(publication.puts);
    for key in &publication.deletes {
        held.resources.remove(key);
    }
    held.manifest = Some(publication.manifest);
}
