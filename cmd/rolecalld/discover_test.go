package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	readOrganization = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["organizations:List*","sts:AssumeRole"],"Resource":"*"}]}`
	readRoles        = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ListRoles","iam:ListRoleTags"],"Resource":"*"}]}`
)

// company is an organization with everything that an account's entry can be made of.
func company(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	url = "http://" + server.Listener.Addr().String()
	member := func(id, name string, tags ...iam.Tag) devaws.Member {
		return devaws.Member{ID: id, Name: name, Tags: tags}
	}
	live := devaws.Unit{Name: "Live", Accounts: []devaws.Member{
		member("111111111111", "Production Account", iam.Tag{Key: "stage", Value: "live"}, iam.Tag{Key: "cost centre", Value: `4"2: {x}`}, iam.Tag{Key: "a", Value: ""}),
		member("222222222222", "shop"), member("333333333333", "Shop"), member("444444444444", "数据"), member("555555555555", "123456789012"),
	}}
	closed := member("666666666666", "old")
	closed.State = "SUSPENDED"
	made := devaws.Config{
		URL: url,
		Users: []devaws.User{
			{ARN: "arn:aws:iam::999988887777:user/admin", AccessKeyID: operatorKey, SecretAccessKey: secret.New(keyWord), Permissions: readOrganization},
			{ARN: "arn:aws:iam::999988887777:user/nobody", AccessKeyID: vendingKey, SecretAccessKey: secret.New(keyWord)},
		},
		Organization: &devaws.Organization{Management: "999988887777", Root: devaws.Unit{
			Accounts: []devaws.Member{member("999988887777", "management")},
			Units:    []devaws.Unit{{Name: "Engineering", Units: []devaws.Unit{live, {Name: "a/b*c"}}, Accounts: []devaws.Member{closed, member("777777777777", "tools")}}},
		}},
	}
	role := func(account, name, permissions string, tags ...iam.Tag) {
		arn, err := iam.ParseRoleARN("arn:aws:iam::" + account + ":role/" + name)
		if err != nil {
			t.Fatal(err)
		}
		made.Roles = append(made.Roles, devaws.Role{ARN: arn, Trust: devaws.TrustPolicy("", "999988887777"), Permissions: permissions, Tags: tags})
	}
	for _, id := range []string{"999988887777", "111111111111", "222222222222", "333333333333", "444444444444", "555555555555", "666666666666", "777777777777"} {
		made.Accounts = append(made.Accounts, devaws.Account{ID: id})
		if id != "222222222222" { // there nobody may list anything
			role(id, "org/reader", readRoles)
		}
	}
	meant := iam.Tag{Key: "rolecall", Value: "people"}
	for n := range 150 { // more than a page
		role("111111111111", fmt.Sprintf("Plain%03d", n), "")
	}
	role("111111111111", "ReadOnly", "", meant)
	role("111111111111", "ops/Admin", "", iam.Tag{Key: "team", Value: "x"}, iam.Tag{Key: "rolecall", Value: "operators"})
	role("111111111111", "aws-service-role/AWSServiceRole", "", meant)
	role("777777777777", "Deploy", "", iam.Tag{Key: "Rolecall", Value: "people"})
	handler, err := devaws.New(made)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	return url
}

const foundAccounts = `# Made by rolecalld aws discover; run it again to bring it up to date. What is to be
# otherwise goes into accounts of the configuration, which counts over this file.
accounts:
  - id: "111111111111"
    name: "Production-Account"
    path: "/Engineering/Live"
    hub_role: "arn:aws:iam::777777777777:role/Hub"
    tags:
      "a": ""
      "cost centre": "4\"2: {x}"
      "stage": "live"
    roles:
      - "ReadOnly"
      - "ops/Admin"
  - id: "222222222222"
    name: "shop-222222222222"
    path: "/Engineering/Live"
    hub_role: "arn:aws:iam::777777777777:role/Hub"
  - id: "333333333333"
    name: "Shop-333333333333"
    path: "/Engineering/Live"
    hub_role: "arn:aws:iam::777777777777:role/Hub"
    roles: []
  - id: "444444444444"
    name: "444444444444"
    path: "/Engineering/Live"
    hub_role: "arn:aws:iam::777777777777:role/Hub"
    roles: []
  - id: "555555555555"
    name: "123456789012-555555555555"
    path: "/Engineering/Live"
    hub_role: "arn:aws:iam::777777777777:role/Hub"
    roles: []
  - id: "777777777777"
    name: "tools"
    path: "/Engineering"
    roles: []
  - id: "999988887777"
    name: "mgmt"
    roles: []
`

// The whole organization through the real SDK, into a file that the configuration
// reads.
func TestDiscoverWritesWhatTheOrganizationHas(t *testing.T) {
	url := company(t)
	dir := t.TempDir()
	configFile, out := filepath.Join(dir, "rolecall.yaml"), filepath.Join(dir, "accounts.yaml")
	text := func(more string) []byte {
		return fmt.Appendf(nil, "server: {url: \"http://127.0.0.1:8400\"}\naws: {region: eu-west-1, endpoint: %q}\naccounts: [{id: \"999988887777\", name: mgmt}]\n%s", url, more)
	}
	if err := os.WriteFile(configFile, text(""), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", operatorKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keyWord)
	t.Setenv("AWS_SESSION_TOKEN", "")
	args := []string{"aws", "discover", "--config", configFile, "--via", "org/reader", "--hub-role", "/Engineering/Live=arn:aws:iam::777777777777:role/Hub"}
	got, notes := program(t, 0, args...)
	if diff := cmp.Diff(foundAccounts, got); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{
		"note: account 666666666666 (old) is left out: it is suspended\n",
		"note: account 222222222222 (shop-222222222222): its roles could not be listed", "AccessDenied",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("it does not say %q:\n%s", want, notes)
		}
	}
	for _, want := range []string{"written, 7 accounts", "up to date, 7 accounts"} {
		if said, _ := program(t, 0, append(args, "--out", out)...); !strings.Contains(said, want) {
			t.Errorf("%s, not %s", said, want)
		}
	}
	if err := os.WriteFile(configFile, text("accounts_file: accounts.yaml\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(configFile)
	if err != nil || len(loaded.Accounts) != 7 || loaded.Accounts[0].Name.Value != "mgmt" || loaded.Accounts[1].Tags["cost centre"] != `4"2: {x}` {
		t.Fatalf("%v %+v", err, loaded)
	}

	// Somebody renamed an account here: it keeps that name, whatever AWS calls it.
	renamed := strings.Replace(foundAccounts, `"shop-222222222222"`, `"store"`, 1)
	if err := os.WriteFile(out, []byte(strings.Replace(renamed, "    hub_role: \"arn:aws:iam::777777777777:role/Hub\"\n  - id: \"333333333333\"", "    hub_role: \"arn:aws:iam::777777777777:role/Hub\"\n    roles: [\"Kept\"]\n  - id: \"333333333333\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ = program(t, 0, args...)
	if !strings.Contains(got, `name: "store"`) || !strings.Contains(got, `- "Kept"`) || !strings.Contains(got, `name: "Shop-333333333333"`) {
		t.Errorf("%s", got)
	}

	// One value of the tag only.
	if got, _ = program(t, 0, append(args, "--tag", "rolecall=operators")...); strings.Contains(got, `"ReadOnly"`) || !strings.Contains(got, `"ops/Admin"`) {
		t.Errorf("%s", got)
	}
	// Without --via nothing is listed, and nothing is said to be there.
	if err := os.WriteFile(configFile, text(""), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ = program(t, 0, "aws", "discover", "--config", configFile); strings.Contains(got, "roles:") || strings.Contains(got, "hub_role") {
		t.Errorf("%s", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", vendingKey)
	if _, errs := program(t, 1, args...); !strings.Contains(errs, "organizations:ListRoots: AccessDenied") {
		t.Error(errs)
	}
	for _, wrong := range [][]string{{"--tag", "=x"}, {"--hub-role", "Hub"}, {"--hub-role", "x=arn:aws:iam::777777777777:role/Hub"}} {
		program(t, 2, append([]string{"aws", "discover", "--config", configFile}, wrong...)...)
	}
}
