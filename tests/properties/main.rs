//! Tests of the properties: with the rows of the attack tables, with mutated rows, and with random
//! bytes.

#![cfg(test)]

mod mutation;

use integration_tests::properties::{ALL, Property};
use proptest::{
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};

/// The number of inputs for each property.
const CASES: u32 = 1000;

/// Generates the tests of each property.
macro_rules! hold {
    ($($name:ident)*) => {
        $(
            mod $name {
                #[test]
                fn holds_for_each_seed() {
                    let property = super::property(stringify!($name));
                    for (_, seed) in (property.seeds)() {
                        (property.check)(&seed);
                    }
                }

                #[test]
                fn holds_for_mutated_seeds() {
                    let property = super::property(stringify!($name));
                    super::assert_holds(property, super::mutation::mutated((property.seeds)()));
                }

                #[test]
                fn holds_for_random_bytes() {
                    let property = super::property(stringify!($name));
                    super::assert_holds(property, super::any_bytes());
                }
            }
        )*

        #[test]
        fn every_property_has_tests() {
            let names: Vec<_> = ALL.iter().map(|property| property.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

hold!(handshake login verdict renderer ticket);

fn property(name: &str) -> Property {
    let mut all = ALL.into_iter();
    all.find(|property| property.name == name)
        .expect("the property exists")
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

/// Asserts that a property holds for the inputs of a strategy.
#[track_caller]
fn assert_holds(property: Property, bytes: impl Strategy<Value = Vec<u8>>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(&bytes, |bytes| {
        (property.check)(&bytes);
        Ok(())
    });
    if let Err(TestError::Fail(reason, bytes)) = tried {
        let text = bytes.escape_ascii();
        panic!("{} does not hold for b\"{text}\": {reason}", property.name);
    }
    tried.expect("enough cases run");
}
