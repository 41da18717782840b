//! The custom resource definitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};

/// The four definitions, sorted by name.
///
/// They differ from what the derive alone gives: no property is nullable (an explicit `null` is dropped by the API
/// server, so that a rule's `has()` means what it says), nothing under `status` has a default or a rule, so that it
/// is stored as the operator wrote it, and descriptions are one line, which `kubectl explain` folds as wide as the terminal.
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![ScrobblePlan::crd(), ScrobbleTarget::crd(), SpotifyAccount::crd(), SpotifyApp::crd()];
    for definition in &mut definitions {
        for version in &mut definition.spec.versions {
            let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
                continue;
            };
            visit(root, &mut plain);
            if let Some(status) = root.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
                visit(status, &mut as_written);
            }
        }
    }
    definitions
}

fn plain(schema: &mut JSONSchemaProps) {
    schema.title = None;
    schema.nullable = None;
    if let Some(description) = schema.description.as_mut() {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(values) = schema.enum_.as_mut() {
        values.retain(|value| !value.0.is_null());
    }
}

/// For what the operator writes: rules speak to people who write specs.
fn as_written(schema: &mut JSONSchemaProps) {
    schema.default = None;
    schema.x_kubernetes_validations = None;
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
