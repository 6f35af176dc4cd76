package awssetup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// object is a JSON object; encoding/json sorts its keys, so that the text is the
// same each time.
type object = map[string]any

func (s *Setup) accounts() []string {
	var ids []string
	for _, r := range s.roles {
		if !slices.Contains(ids, r.arn.Account) {
			ids = append(ids, r.arn.Account)
		}
	}
	return ids
}

// federated says which providers an account must know.
func (s *Setup) federated(account string) (oidc bool, saml string) {
	for _, r := range s.roles {
		for _, t := range r.uses {
			if r.arn.Account == account {
				oidc = oidc || t.Mode == "web-identity"
				if t.Mode == "saml" && !t.OwnAssertion {
					saml = t.SAMLProvider
				}
			}
		}
	}
	return oidc, saml
}

var notLabel = regexp.MustCompile(`[^A-Za-z0-9]+`)

// label names a role's resource. What a label cannot hold is in its hash, so that
// a-b and a_b are two.
func label(r *role) string {
	name := r.arn.Account + strings.TrimSuffix(r.arn.Path, "/") + "/" + r.arn.Name
	clean := notLabel.ReplaceAllString(strings.Replace(name, "/", "", 1), "")
	if r.arn.Account+r.arn.Name == clean {
		return clean
	}
	sum := sha256.Sum256([]byte(r.arn.String()))
	return clean + "x" + hex.EncodeToString(sum[:4])
}

func (r *role) description() string {
	if len(r.revokes) > 0 {
		return "assumed by operators to write the policy rolecall-revoke"
	}
	return "assumed by rolecall"
}

// Terraform is the whole as a .tf.json file. Each account has a provider alias
// aws.account_ID that the surrounding configuration defines.
func (s *Setup) Terraform() ([]byte, error) {
	resources := map[string]object{}
	add := func(kind, name string, body object) {
		if resources[kind] == nil {
			resources[kind] = object{}
		}
		resources[kind][name] = body
	}
	for _, id := range s.accounts() {
		alias, name := "aws.account_"+id, "rolecall_"+id
		oidc, saml := s.federated(id)
		if oidc {
			add("aws_iam_openid_connect_provider", name, object{"provider": alias, "url": s.config.Issuer, "client_id_list": []string{s.config.Audience}})
		}
		if saml != "" {
			add("aws_iam_saml_provider", name, object{"provider": alias, "name": saml[strings.LastIndexByte(saml, '/')+1:], "saml_metadata_document": `${file("saml-metadata.xml")}`})
		}
	}
	for _, r := range s.roles {
		alias, name := "aws.account_"+r.arn.Account, "role_"+label(r)
		add("aws_iam_role", name, object{
			"provider": alias, "name": r.arn.Name, "path": r.arn.Path, "description": r.description(),
			"assume_role_policy": literal(s.trust(r).text()), "max_session_duration": int(r.longest.Seconds()),
		})
		for policy, document := range r.inline() {
			add("aws_iam_role_policy", name, object{"provider": alias, "name": policy, "role": "${aws_iam_role." + name + ".name}", "policy": literal(document.text())})
		}
	}
	return indent(object{"resource": resources})
}

// literal keeps Terraform from reading ${ and %{ in a text.
func literal(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text)
}

// CloudFormation is the whole as one template for a StackSet over all accounts:
// each account gets what has its id as the condition.
func (s *Setup) CloudFormation() ([]byte, error) {
	conditions, resources, parameters := object{}, object{}, object{}
	for _, id := range s.accounts() {
		condition := "InAccount" + id
		conditions[condition] = object{"Fn::Equals": []any{object{"Ref": "AWS::AccountId"}, id}}
		oidc, saml := s.federated(id)
		if oidc {
			resources["OidcProvider"+id] = object{"Type": "AWS::IAM::OIDCProvider", "Condition": condition, "Properties": object{"Url": s.config.Issuer, "ClientIdList": []string{s.config.Audience}}}
		}
		if saml != "" {
			parameters["SamlMetadata"] = object{"Type": "String", "Description": "saml-metadata.xml of rolecalld issuer export"}
			resources["SamlProvider"+id] = object{"Type": "AWS::IAM::SAMLProvider", "Condition": condition, "Properties": object{
				"Name": saml[strings.LastIndexByte(saml, '/')+1:], "SamlMetadataDocument": object{"Ref": "SamlMetadata"},
			}}
		}
	}
	for _, r := range s.roles {
		properties := object{
			"RoleName": r.arn.Name, "Path": r.arn.Path, "Description": r.description(),
			"AssumeRolePolicyDocument": s.trust(r), "MaxSessionDuration": int(r.longest.Seconds()),
		}
		for policy, document := range r.inline() {
			properties["Policies"] = []object{{"PolicyName": policy, "PolicyDocument": document}}
		}
		resources["Role"+label(r)] = object{"Type": "AWS::IAM::Role", "Condition": "InAccount" + r.arn.Account, "Properties": properties}
	}
	template := object{
		"AWSTemplateFormatVersion": "2010-09-09", "Description": "The IAM side of rolecall: deploy it as a StackSet with named IAM capabilities; what each role may do is for you to add.",
		"Conditions": conditions, "Resources": resources,
	}
	if len(parameters) > 0 {
		template["Parameters"] = parameters
	}
	return indent(template)
}

func indent(document any) ([]byte, error) {
	data, err := json.MarshalIndent(document, "", "  ")
	return append(data, '\n'), err
}
