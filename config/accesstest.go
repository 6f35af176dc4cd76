package config

import "path/filepath"

// AccessTest is one entry of a file of access tests (`rolecalld test`): somebody,
// the circumstances, and the roles that must be granted and those that must not.
type AccessTest struct {
	Pos      Pos          `yaml:"-"`
	Name     Text         `yaml:"name" required:"true" doc:"One sentence that the report shows."`
	Identity TestIdentity `yaml:"identity" doc:"Who asks."`
	Request  TestRequest  `yaml:"request" doc:"The circumstances."`
	Allow    []Text       `yaml:"allow" doc:"Roles that must be granted, as ARN or ACCOUNT/ROLE."`
	Deny     []Text       `yaml:"deny" doc:"Roles that must not be granted."`
}

// TestIdentity is the identity document of explain, as YAML.
type TestIdentity struct {
	ID              string              `yaml:"id" doc:"Default: the subject."`
	Provider        Text                `yaml:"provider" required:"true" doc:"The name of a provider of the configuration."`
	Subject         string              `yaml:"subject" doc:"Default: the user name."`
	Username        string              `yaml:"username" doc:"Default: the subject."`
	Groups          []string            `yaml:"groups" doc:"Names of groups."`
	Attributes      map[string][]string `yaml:"attributes" doc:"Each a list of values."`
	Methods         []string            `yaml:"methods" doc:"pwd, mfa and so on."`
	AuthenticatedAt Text                `yaml:"authenticated_at" doc:"RFC 3339."`
}

// TestRequest is what a decision depends on beside the identity.
type TestRequest struct {
	IP     Text   `yaml:"ip" doc:"The client's address; without it conditions on it cannot be evaluated."`
	Time   Text   `yaml:"time" doc:"RFC 3339. Default: now."`
	Via    Text   `yaml:"via" enum:"browser,cli,device,exchange,tvm" default:"browser" doc:"The way of arrival."`
	Device string `yaml:"device" doc:"The device's id."`
	App    string `yaml:"app" doc:"The app's name."`
	Guest  bool   `yaml:"guest" doc:"Nobody signed in."`
}

// ParseTests reads a file of access tests as strictly as a configuration. Its
// error is Faults.
func ParseTests(file string, data []byte) ([]AccessTest, error) {
	text, faults := judgeBytes(file, data)
	if len(faults) > 0 {
		return nil, faults
	}
	root, faults := parseYAML(file, text)
	if len(faults) > 0 {
		return nil, faults
	}
	var document struct {
		Tests []AccessTest `yaml:"tests" required:"true" doc:"The tests."`
	}
	none := func(string) (string, bool) { return "", false }
	d := &decoder{file: file, dir: filepath.Dir(file), env: none, at: map[string]Pos{}}
	d.document(root, &document)
	for _, t := range document.Tests {
		if len(t.Allow)+len(t.Deny) == 0 {
			d.faults.Add(t.Pos, "test %s expects nothing; give allow or deny", quoted(t.Name.Value))
		}
		if t.Identity.Subject == "" && t.Identity.Username == "" {
			d.faults.Add(t.Pos, "test %s: the identity needs a username or a subject", quoted(t.Name.Value))
		}
	}
	d.faults.sort()
	return document.Tests, d.faults.Err()
}
