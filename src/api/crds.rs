//! The custom resource definitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};

/// The four definitions, sorted by name.
///
/// They differ from what the derive alone gives: no property is nullable (an explicit `null` is dropped by the API
/// server, so that a rule's `has()` means what it says), and nothing under `status` is required or has a default, so
/// that an object is stored as the operator wrote it.
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![ScrobblePlan::crd(), ScrobbleTarget::crd(), SpotifyAccount::crd(), SpotifyApp::crd()];
    for definition in &mut definitions {
        for version in &mut definition.spec.versions {
            let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
                continue;
            };
            visit(root, &mut without_null);
            if let Some(status) = root.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
                visit(status, &mut without_default);
            }
        }
    }
    definitions
}

fn without_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(values) = schema.enum_.as_mut() {
        values.retain(|value| !value.0.is_null());
    }
}

/// Keys of map lists stay required: the API server demands it.
fn without_default(schema: &mut JSONSchemaProps) {
    schema.default = None;
}

fn visit(schema: &mut JSONSchemaProps, change: &mut dyn FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        visit(property, change);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => visit(items, change),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(|items| visit(items, change)),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        visit(values, change);
    }
}
