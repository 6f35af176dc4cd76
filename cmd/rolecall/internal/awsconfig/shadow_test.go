package awsconfig

import "testing"

func TestTheDefaultProfileLosesItsCredentialsAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, want string
		shadows      bool
	}{
		"no file":          {"", "", false},
		"settings only":    {"[default]\nregion = x\n", "[default]\nregion = x\n", false},
		"of other profile": {"[profile a]\nrole_arn = x\n", "[profile a]\nrole_arn = x\n", false},
		"static keys":      {"# a\n[default]\naws_access_key_id=A\nAWS_SECRET_ACCESS_KEY: B\nregion = x\n\n[b]\naws_access_key_id=C\n", "# a\n[default]\nregion = x\n\n[b]\naws_access_key_id=C\n", true},
		"a process":        {"[default]\ncredential_process =\n  a\n  b\nregion = x", "[default]\nregion = x", true},
		"in its long form": {"[profile default]\nsso_session = x\n", "[profile default]\n", true},
		"sso and roles":    {"[default]\nsso_start_url = a\nsso_account_id = b\nrole_arn = c\nsource_profile = d\noutput = json\n", "[default]\noutput = json\n", true},
		"aws login":        {"[default]\nlogin_session = arn\n", "[default]\n", true},
	} {
		got, shadows := loaded(t, c.before).WithoutDefaultCredentials()
		if string(got) != c.want || shadows != c.shadows {
			t.Errorf("%s: %v %q, want %v %q", name, shadows, got, c.shadows, c.want)
		}
	}
}
