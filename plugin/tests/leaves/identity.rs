//! Roles whose names come from the caller's identity: a node gets its own name and no other.

use std::collections::BTreeMap;

use landfast_plugin::Mount;
use landfast_sdk::logical::{Alias, Entity, Group, Storage as _};
use landfast_sdk::testing::Harness;
use serde_json::json;

use crate::support::{import, issue, on, role, system};

const ACCESSOR: &str = "auth_approle_1";

#[tokio::test]
async fn a_node_gets_its_own_name_only() {
    let mount = node_mount(
        "{{identity.entity.aliases.auth_approle_1.metadata.role_name}}",
        false,
    )
    .await
    .as_entity("e1");
    assert_eq!(
        issue(&mount, json!({"common_name": "node-1"})).await.status,
        200
    );
    for name in [
        "node-2",
        "x.node-1",
        "*.node-1",
        "node-1.evil",
        "user-at-other-mount",
    ] {
        let reply = issue(&mount, json!({"common_name": name})).await;
        assert_eq!(
            (reply.status, reply.error()),
            (
                400,
                format!("common name {name} not allowed by this role").as_str()
            )
        );
    }
}

#[tokio::test]
async fn a_caller_without_an_entity_gets_nothing() {
    let mount = node_mount("{{identity.entity.name}}", false).await;
    assert_eq!(
        issue(&mount, json!({"common_name": "host-1"})).await.status,
        400
    );
    let mount = mount.as_entity("nobody");
    assert_eq!(
        issue(&mount, json!({"common_name": "host-1"})).await.status,
        400
    );
    let mount = mount.as_entity("disabled");
    assert_eq!(
        issue(&mount, json!({"common_name": "host-1"})).await.status,
        400
    );
    let mount = mount.as_entity("e1");
    assert_eq!(
        issue(&mount, json!({"common_name": "host-1"})).await.status,
        200
    );
}

#[tokio::test]
async fn an_alias_of_another_auth_mount_does_not_count() {
    let mount = node_mount(
        "{{identity.entity.aliases.auth_userpass_2.metadata.role_name}}",
        false,
    )
    .await
    .as_entity("e1");
    assert_eq!(
        issue(&mount, json!({"common_name": "node-1"})).await.status,
        400
    );
}

#[tokio::test]
async fn a_star_from_an_identity_matches_only_where_it_is_allowed() {
    for (globs, status) in [(false, 400), (true, 200)] {
        let mount = node_mount("{{identity.entity.metadata.pattern}}", globs)
            .await
            .as_entity("e1");
        let reply = issue(&mount, json!({"common_name": "anything.example.com"})).await;
        assert_eq!(reply.status, status, "{:?}", reply.errors);
    }
}

#[tokio::test]
async fn groups_and_uris_fill_templates_too() {
    let mount = node_mount("{{identity.groups.names.nodes.metadata.domain}}", false)
        .await
        .as_entity("e1");
    assert_eq!(
        issue(&mount, json!({"common_name": "group.example"}))
            .await
            .status,
        200
    );
    let fields = json!({
        "allowed_uri_sans": "spiffe://cluster/{{identity.entity.name}}", "allowed_uri_sans_template": true,
    });
    role(&mount, fields).await;
    for (uri, status) in [
        ("spiffe://cluster/host-1", 200),
        ("spiffe://cluster/host-2", 400),
    ] {
        assert_eq!(
            issue(&mount, json!({"common_name": "a.b", "uri_sans": uri}))
                .await
                .status,
            status,
            "{uri}"
        );
    }
}

async fn node_mount(template: &str, globs: bool) -> Harness<Mount> {
    let text = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let alias = |accessor: &str, name: &str, metadata| Alias {
        mount_accessor: accessor.to_owned(),
        name: name.to_owned(),
        metadata,
        ..Alias::default()
    };
    let entity = Entity {
        id: "e1".to_owned(),
        name: "host-1".to_owned(),
        aliases: vec![
            alias("auth_userpass_2", "user-at-other-mount", BTreeMap::new()),
            alias(ACCESSOR, "a2f1", text("role_name", "node-1")),
        ],
        metadata: text("pattern", "*.example.com"),
        ..Entity::default()
    };
    let disabled = Entity {
        id: "disabled".to_owned(),
        disabled: true,
        ..entity.clone()
    };
    let group = Group {
        id: "g1".to_owned(),
        name: "nodes".to_owned(),
        metadata: text("domain", "group.example"),
        ..Group::default()
    };
    let mount = on(system()
        .entity(entity, vec![group])
        .entity(disabled, Vec::new()))
    .await;
    import(&mount).await;
    role(
        &mount,
        json!({
            "allow_any_name": false, "allowed_domains": template, "allowed_domains_template": true,
            "allow_bare_domains": true, "allow_glob_domains": true, "allow_globs_in_identity_templates": globs,
        }),
    )
    .await;
    mount
}

/// Vault takes a `*` in such a value for a pattern and has no field for it; a role that it stored is told apart from one that says no.
#[tokio::test]
async fn a_star_in_a_value_is_explained_where_the_role_does_not_speak_of_it() {
    let starred = Entity {
        id: "star".to_owned(),
        name: "*.nodes".to_owned(),
        ..Entity::default()
    };
    let mount = on(system().entity(starred, Vec::new())).await;
    import(&mount).await;
    let fields = json!({
        "allow_any_name": false, "allow_glob_domains": true, "allowed_domains_template": true,
        "allowed_domains": "{{identity.entity.name}}",
    });
    role(&mount, fields).await;
    let name = json!({"common_name": "a.nodes"});
    let plain = "common name a.nodes not allowed by this role";
    let mut mount = mount.as_entity("star");
    for (field, hint) in [(true, false), (false, true)] {
        if !field {
            let stored = mount.storage().get("role/r").await.unwrap().unwrap();
            let mut entry: serde_json::Value = serde_json::from_slice(&stored).unwrap();
            let members = entry.as_object_mut().unwrap();
            members.remove("allow_globs_in_identity_templates");
            let bytes = entry.to_string().into_bytes();
            mount.storage().put("role/r", bytes).await.unwrap();
            mount = mount.reload().await;
        }
        let reply = issue(&mount, name.clone()).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.error().starts_with(plain), "{reply:?}");
        let said = reply.error().contains("allow_globs_in_identity_templates");
        assert_eq!(said, hint, "{reply:?}");
    }
    // Said once, the role is like any other.
    let reply = mount
        .patch(
            "roles/r",
            json!({"allow_globs_in_identity_templates": true}),
        )
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(issue(&mount, name).await.status, 200);
}
