use http::HeaderValue;

use super::*;
use crate::MockClock;

const GET_FLAG: &str = "assay.config.v1.FlagService/GetFlag";

fn principal(roles: &[Role], scope: Scope) -> Principal {
    Principal {
        name: "ann".to_owned(),
        roles: roles.iter().copied().collect(),
        scope,
    }
}

fn key(secret: &str, roles: &[Role], expires_at_micros: Option<i64>) -> Key {
    Key {
        hash: hash_key(secret),
        principal: principal(roles, Scope::All),
        expires_at_micros,
    }
}

fn bearer(text: &str) -> HeaderMap {
    let value = HeaderValue::from_str(text).unwrap();
    HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
}

fn reason(result: Result<Option<Arc<Principal>>, Failure>) -> (Code, String) {
    let failure = result.unwrap_err();
    (failure.code, failure.reason.to_string())
}

#[test]
fn every_method_with_each_role_is_admitted_exactly_as_the_table_says() {
    let clock = MockClock::at(0).shared();
    let access = Access::keys([], clock);
    access.replace(Role::ALL.map(|role| key(role.name(), &[role], None)));
    let mut n = 0;
    for (method, permission) in permissions::all() {
        for role in Role::ALL {
            let admitted = access.admit(&method, &bearer(&format!("Bearer {}", role.name())));
            let may = match permission {
                Permission::Public | Permission::Anyone => true,
                Permission::Role(needed) | Permission::Global(needed) => role.covers(needed),
            };
            assert_eq!(admitted.is_ok(), may, "{method} by {}", role.name());
            if !may {
                assert_eq!(
                    reason(admitted),
                    (Code::PermissionDenied, "ROLE_REQUIRED".to_owned())
                );
            }
            n += 1;
        }
    }
    assert!(n > 300, "{n}");
}

#[test]
fn roles_grow_and_do_not_mix() {
    for (role, covered) in [
        (Role::Viewer, "viewer"),
        (Role::Editor, "viewer editor"),
        (Role::Operator, "viewer editor operator"),
        (
            Role::Admin,
            "viewer editor operator admin assigner recorder importer evaluator",
        ),
        (Role::Assigner, "assigner"),
        (Role::Recorder, "recorder"),
        (Role::Importer, "recorder importer"),
        (Role::Service, "viewer service"),
        (Role::Evaluator, "assigner evaluator"),
    ] {
        let found = Role::ALL.into_iter().filter(|needed| role.covers(*needed));
        let found: Vec<_> = found.map(Role::name).collect();
        assert_eq!(found.join(" "), covered, "{}", role.name());
        assert_eq!(Role::named(role.name()), Some(role));
    }
}

#[test]
fn without_an_entry_nobody_may_also_where_no_keys_are_needed() {
    for access in [
        Access::open(),
        Access::keys([key("k", &Role::ALL, None)], MockClock::at(0).shared()),
    ] {
        let denied = access.admit("assay.config.v1.FlagService/Invented", &bearer("Bearer k"));
        assert_eq!(
            reason(denied),
            (Code::PermissionDenied, "NO_PERMISSION_ENTRY".to_owned())
        );
    }
    assert!(Access::open().admit(GET_FLAG, &HeaderMap::new()).is_ok());
}

#[test]
fn what_is_no_key_is_refused_alike() {
    let clock = MockClock::at(100);
    let access = Access::keys([key("fixed", &[Role::Viewer], None)], clock.shared());
    let (required, not_valid) = ("KEY_REQUIRED".to_owned(), "KEY_NOT_VALID".to_owned());
    assert_eq!(
        reason(access.admit(GET_FLAG, &HeaderMap::new())),
        (Code::Unauthenticated, required)
    );
    assert_eq!(
        reason(access.admit(GET_FLAG, &bearer("Bearer unknown"))),
        (Code::Unavailable, "KEYS_UNAVAILABLE".to_owned()),
        "before keys were read nobody can say that it is unknown"
    );
    access.replace([
        key("late", &[Role::Viewer], Some(101)),
        key("old", &[Role::Viewer], Some(100)),
    ]);
    let long = format!("Bearer {}", "x".repeat(10_000));
    let zoo = [
        "Bearer unknown",
        "Bearer old",
        "Basic fixed",
        "fixed",
        "Bearer",
        "Bearer ",
        "none",
        &long,
    ];
    for text in zoo {
        let refused = reason(access.admit(GET_FLAG, &bearer(text)));
        assert_eq!(refused, (Code::Unauthenticated, not_valid.clone()), "{text:.20}");
    }
    let mut twice = bearer("Bearer late");
    twice.append(
        http::header::AUTHORIZATION,
        HeaderValue::from_static("Bearer fixed"),
    );
    assert_eq!(reason(access.admit(GET_FLAG, &twice)).1, not_valid);
    for text in ["Bearer fixed", "bearer late"] {
        assert!(access.admit(GET_FLAG, &bearer(text)).is_ok(), "{text}");
    }
    access.replace([]);
    assert_eq!(
        reason(access.admit(GET_FLAG, &bearer("Bearer late"))).1,
        not_valid,
        "revoked"
    );
    access.fix([key("other", &[Role::Viewer], None)]);
    assert!(access.admit(GET_FLAG, &bearer("Bearer other")).is_ok());
    assert_eq!(
        reason(access.admit(GET_FLAG, &bearer("Bearer fixed"))).1,
        not_valid,
        "replaced"
    );
}

#[test]
fn health_needs_no_key() {
    let access = Access::keys([], MockClock::at(0).shared());
    let admitted = access.admit("grpc.health.v1.Health/Check", &HeaderMap::new());
    assert_eq!(admitted.unwrap(), None);
}

#[test]
fn a_foreign_namespace_is_not_found() {
    let only = Scope::Only(BTreeSet::from(["shop".to_owned()]));
    let ann = principal(&[Role::Viewer], only.clone());
    assert!(ann.check_namespace("shop").is_ok());
    for other in ["bank", "", "shop2"] {
        assert_eq!(
            ann.check_namespace(other).unwrap_err().code,
            Code::NotFound,
            "{other}"
        );
    }
    assert!(Scope::All.contains(&only) && only.contains(&only) && !only.contains(&Scope::All));
    assert!(
        Principal::of(&http::Extensions::new())
            .check_namespace("default")
            .is_err()
    );
}
