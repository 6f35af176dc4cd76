package awssetup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker/policy"
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
			"depends_on": s.before(r, func(hub *role) string { return "aws_iam_role.role_" + label(hub) }),
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
		resource := object{"Type": "AWS::IAM::Role", "Condition": "InAccount" + r.arn.Account, "Properties": properties}
		if hubs := s.before(r, func(hub *role) string {
			if hub.arn.Account != r.arn.Account {
				return "" // another stack of the set
			}
			return "Role" + label(hub)
		}); len(hubs) > 0 {
			resource["DependsOn"] = hubs
		}
		resources["Role"+label(r)] = resource
	}
	template := object{
		"AWSTemplateFormatVersion": "2010-09-09", "Description": "The IAM side of rolecall: deploy it as a StackSet with named IAM capabilities; what each role may do is for you to add.",
		"Metadata": object{"Rolecall": object{"Deploy": s.deployment(len(parameters) > 0)}}, "Conditions": conditions, "Resources": resources,
	}
	if len(parameters) > 0 {
		template["Parameters"] = parameters
	}
	text, err := indent(template)
	if len(text) > maxTemplate {
		s.Notes = append(s.Notes, fmt.Sprintf("the template has %d bytes, more than the %d that --template-body takes: put it into S3 and use --template-url", len(text), maxTemplate))
	}
	if len(resources) > maxResources {
		s.Notes = append(s.Notes, fmt.Sprintf("the template has %d resources, more than the %d of one stack: split the accounts over several configurations, or use Terraform", len(resources), maxResources))
	}
	return text, err
}

// Limits of CloudFormation.
const (
	maxTemplate  = 51_200
	maxResources = 500
)

// before are the hubs that a role trusts: IAM takes no trust policy that names a role
// which is not there yet.
func (s *Setup) before(r *role, name func(hub *role) string) []string {
	hubs := []string{}
	for _, hub := range s.roles {
		trusts := slices.ContainsFunc(r.uses, func(t policy.Target) bool { return t.HubRole == hub.arn })
		if text := name(hub); trusts && hub != r && text != "" {
			hubs = append(hubs, text)
		}
	}
	return hubs
}

// deployment are the commands that make a StackSet of the template; the accounts of
// hubs come first, because those of the spokes trust what is in them.
func (s *Setup) deployment(metadata bool) []string {
	var first, then []string
	for _, id := range s.accounts() {
		if slices.ContainsFunc(s.roles, func(r *role) bool { return r.hub && r.arn.Account == id }) {
			first = append(first, id)
		} else {
			then = append(then, id)
		}
	}
	create := "aws cloudformation create-stack-set --stack-set-name rolecall --template-body file://rolecall.template.json --capabilities CAPABILITY_NAMED_IAM"
	if metadata {
		create += ` --parameters "$(jq -n --rawfile m saml-metadata.xml '[{ParameterKey: "SamlMetadata", ParameterValue: $m}]')"`
	}
	commands := []string{create}
	for _, ids := range [][]string{first, then} {
		if len(ids) > 0 {
			commands = append(commands, "aws cloudformation create-stack-instances --stack-set-name rolecall --regions us-east-1 --accounts "+strings.Join(ids, " "))
		}
	}
	return commands
}

func indent(document any) ([]byte, error) {
	data, err := json.MarshalIndent(document, "", "  ")
	return append(data, '\n'), err
}
