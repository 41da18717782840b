//! A walk over the schemas of the definitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use scrobble_operator::api::crds::custom_resource_definitions;

/// One place in a schema.
pub struct Node {
    /// The kind.
    pub kind: String,
    /// Where it is, as the API server names fields, without indices: `spec.targets[].name`.
    pub path: String,
    /// What may stand there.
    pub schema: JSONSchemaProps,
}

/// Every place in every schema below the root, lists and maps with their items.
pub fn nodes() -> Vec<Node> {
    let mut found = Vec::new();
    for definition in custom_resource_definitions() {
        let kind = definition.spec.names.kind.clone();
        for version in definition.spec.versions {
            let root = version.schema.unwrap().open_api_v3_schema.unwrap();
            collect(&kind, "", &root, &mut found);
        }
    }
    found
}

fn collect(kind: &str, path: &str, schema: &JSONSchemaProps, found: &mut Vec<Node>) {
    found.push(Node { kind: kind.to_owned(), path: path.to_owned(), schema: schema.clone() });
    for (name, property) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(kind, &path, property, found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(kind, &format!("{path}[]"), items, found);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        collect(kind, &format!("{path}{{}}"), values, found);
    }
}
