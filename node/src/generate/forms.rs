//! The same resources in three languages.

use serde_json::{Map, Value, json};

use super::{Bounds, Description, Document};

/// Requests for `aws SERVICE OPERATION --cli-input-json file://…`, numbered in
/// the order in which they are made.
pub(super) fn command_line(description: &Description) -> Vec<Document> {
    let role = description.role_arn();
    let mut requests = vec![
        (
            "iam-create-role",
            create_role(
                description,
                &description.role,
                NODES,
                &description.node_trust(),
            ),
        ),
        (
            "iam-put-role-policy",
            json!({
                "RoleName": description.role,
                "PolicyName": "hybrid-node",
                "PolicyDocument": description.permissions().to_string(),
            }),
        ),
        (
            "iam-attach-role-policy",
            json!({"RoleName": description.role, "PolicyArn": description.pull_images()}),
        ),
        (
            "rolesanywhere-create-profile",
            create_profile(
                description,
                &description.profile,
                &role,
                description.node_bounds(),
            ),
        ),
        (
            "eks-create-access-entry",
            json!({
                "clusterName": description.cluster,
                "principalArn": role,
                "type": "HYBRID_LINUX",
            }),
        ),
    ];
    if let Some(servers) = &description.seal {
        let trust = description.seal_trust(servers);
        let arn = description.seal_role_arn();
        requests.extend([
            (
                "iam-create-role",
                create_role(description, &description.seal_role, SERVERS, &trust),
            ),
            (
                "rolesanywhere-create-profile",
                create_profile(
                    description,
                    &description.seal_profile,
                    &arn,
                    description.seal_bounds(),
                ),
            ),
            (
                "kms-create-key",
                json!({
                    "Description": KEY,
                    "KeySpec": "SYMMETRIC_DEFAULT",
                    "KeyUsage": "ENCRYPT_DECRYPT",
                    "Policy": description.key_policy(servers).to_string(),
                }),
            ),
        ]);
    }
    requests
        .into_iter()
        .enumerate()
        .map(|(i, (name, request))| Document::json(format!("aws/{}-{name}.json", i + 1), &request))
        .collect()
}

fn create_role(description: &Description, name: &str, purpose: &str, trust: &Value) -> Value {
    json!({
        "RoleName": name,
        "Description": purpose,
        "AssumeRolePolicyDocument": trust.to_string(),
        "MaxSessionDuration": max_session(description),
    })
}

fn create_profile(description: &Description, name: &str, role: &str, bounds: Bounds) -> Value {
    let mut profile = json!({
        "name": name,
        "roleArns": [role],
        "durationSeconds": description.session_seconds,
        "acceptRoleSessionName": true,
        "enabled": true,
    });
    bounds.add(
        &mut profile,
        ["sessionPolicy", "managedPolicyArns"],
        Value::to_string,
    );
    profile
}

impl Bounds {
    /// Adds what there is under these names; `text` writes the policy as the language wants it.
    fn add(self, profile: &mut Value, names: [&str; 2], text: fn(&Value) -> String) {
        if let Some(policy) = self.policy {
            profile[names[0]] = text(&policy).into();
        }
        if !self.managed.is_empty() {
            profile[names[1]] = self.managed.into();
        }
    }
}

/// A CloudFormation template in JSON.
pub(super) fn cloud_formation(description: &Description) -> Document {
    let mut resources = json!({
        "HybridNodeRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": description.role,
                "Description": NODES,
                "MaxSessionDuration": max_session(description),
                "AssumeRolePolicyDocument": description.node_trust(),
                "ManagedPolicyArns": [description.pull_images()],
                "Policies": [{
                    "PolicyName": "hybrid-node",
                    "PolicyDocument": description.permissions(),
                }],
            },
        },
        "HybridNodeProfile": stack_profile(
            description,
            &description.profile,
            "HybridNodeRole",
            description.node_bounds(),
        ),
        "HybridNodeAccessEntry": {
            "Type": "AWS::EKS::AccessEntry",
            "Properties": {
                "ClusterName": description.cluster,
                "PrincipalArn": {"Fn::GetAtt": ["HybridNodeRole", "Arn"]},
                "Type": "HYBRID_LINUX",
            },
        },
    });
    let mut outputs = json!({
        "ProfileArn": {"Value": {"Fn::GetAtt": ["HybridNodeProfile", "ProfileArn"]}},
        "RoleArn": {"Value": {"Fn::GetAtt": ["HybridNodeRole", "Arn"]}},
    });
    if let Some(servers) = &description.seal {
        resources["SealRole"] = json!({
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": description.seal_role,
                "Description": SERVERS,
                "MaxSessionDuration": max_session(description),
                "AssumeRolePolicyDocument": description.seal_trust(servers),
            },
        });
        resources["SealProfile"] = stack_profile(
            description,
            &description.seal_profile,
            "SealRole",
            description.seal_bounds(),
        );
        // The policy names the role, which must be there when KMS checks it.
        resources["SealKey"] = json!({
            "Type": "AWS::KMS::Key",
            "DependsOn": "SealRole",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "Description": KEY,
                "EnableKeyRotation": true,
                "KeyPolicy": description.key_policy(servers),
            },
        });
        outputs["SealKeyArn"] = json!({"Value": {"Fn::GetAtt": ["SealKey", "Arn"]}});
        outputs["SealProfileArn"] = json!({"Value": {"Fn::GetAtt": ["SealProfile", "ProfileArn"]}});
        outputs["SealRoleArn"] = json!({"Value": {"Fn::GetAtt": ["SealRole", "Arn"]}});
    }
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("EKS hybrid nodes of the cluster {}", description.cluster),
        "Resources": resources,
        "Outputs": outputs,
    });
    Document::json("cloudformation.json", &template)
}

fn stack_profile(description: &Description, name: &str, role: &str, bounds: Bounds) -> Value {
    let mut properties = json!({
        "Name": name,
        "Enabled": true,
        "RoleArns": [{"Fn::GetAtt": [role, "Arn"]}],
        "DurationSeconds": description.session_seconds,
        "AcceptRoleSessionName": true,
    });
    bounds.add(
        &mut properties,
        ["SessionPolicy", "ManagedPolicyArns"],
        Value::to_string,
    );
    json!({"Type": "AWS::RolesAnywhere::Profile", "Properties": properties})
}

/// Terraform configuration in JSON, for the `aws` provider.
pub(super) fn terraform(description: &Description) -> Document {
    let role = "${aws_iam_role.hybrid_node.arn}";
    let one = |name: &str, body: Value| Value::Object(Map::from_iter([(name.to_owned(), body)]));
    let mut resources = json!({
        "aws_iam_role": one("hybrid_node", terraform_role(
            description,
            &description.role,
            NODES,
            &description.node_trust(),
        )),
        "aws_iam_role_policy": one("hybrid_node", json!({
            "name": "hybrid-node",
            "role": "${aws_iam_role.hybrid_node.id}",
            "policy": literal(&description.permissions()),
        })),
        "aws_iam_role_policy_attachment": one("pull_images", json!({
            "role": "${aws_iam_role.hybrid_node.name}",
            "policy_arn": description.pull_images(),
        })),
        "aws_rolesanywhere_profile": one(
            "hybrid_nodes",
            terraform_profile(description, &description.profile, role, description.node_bounds()),
        ),
        "aws_eks_access_entry": one("hybrid_nodes", json!({
            "cluster_name": description.cluster,
            "principal_arn": role,
            "type": "HYBRID_LINUX",
        })),
    });
    let mut outputs = json!({
        "profile_arn": {"value": "${aws_rolesanywhere_profile.hybrid_nodes.arn}"},
        "role_arn": {"value": role},
    });
    if let Some(servers) = &description.seal {
        let seal_role = "${aws_iam_role.seal.arn}";
        resources["aws_iam_role"]["seal"] = terraform_role(
            description,
            &description.seal_role,
            SERVERS,
            &description.seal_trust(servers),
        );
        resources["aws_rolesanywhere_profile"]["seal"] = terraform_profile(
            description,
            &description.seal_profile,
            seal_role,
            description.seal_bounds(),
        );
        resources["aws_kms_key"] = one(
            "seal",
            json!({
                "description": KEY,
                "enable_key_rotation": true,
                "policy": literal(&description.key_policy(servers)),
                "depends_on": ["aws_iam_role.seal"],
            }),
        );
        outputs["seal_key_arn"] = json!({"value": "${aws_kms_key.seal.arn}"});
        outputs["seal_profile_arn"] = json!({"value": "${aws_rolesanywhere_profile.seal.arn}"});
        outputs["seal_role_arn"] = json!({"value": seal_role});
    }
    Document::json(
        "main.tf.json",
        &json!({
            "terraform": {
                "required_version": ">= 1.0",
                "required_providers": {
                    "aws": {"source": "hashicorp/aws", "version": AWS_PROVIDER},
                },
            },
            "resource": resources,
            "output": outputs,
        }),
    )
}

fn terraform_role(description: &Description, name: &str, purpose: &str, trust: &Value) -> Value {
    json!({
        "name": name,
        "description": purpose,
        "max_session_duration": max_session(description),
        "assume_role_policy": literal(trust),
    })
}

fn terraform_profile(description: &Description, name: &str, role: &str, bounds: Bounds) -> Value {
    let mut profile = json!({
        "name": name,
        "enabled": true,
        "role_arns": [role],
        "duration_seconds": description.session_seconds,
        "accept_role_session_name": true,
    });
    bounds.add(
        &mut profile,
        ["session_policy", "managed_policy_arns"],
        literal,
    );
    profile
}

/// The first versions of the provider that know `accept_role_session_name`.
const AWS_PROVIDER: &str = ">= 6.25.0";

const NODES: &str = "EKS hybrid nodes, by IAM Roles Anywhere";
const SERVERS: &str = "Servers that unseal with AWS KMS, by IAM Roles Anywhere";
const KEY: &str = "Seal of Vault or OpenBao";

/// The role's limit is that of the profile, and no less than IAM allows.
fn max_session(description: &Description) -> u32 {
    description.session_seconds.max(3600)
}

/// A policy as Terraform text: `${` would start an expression of its own.
fn literal(policy: &Value) -> String {
    policy.to_string().replace("${", "$${")
}
