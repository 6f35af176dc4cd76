package revoke

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
)

func role(account, name string) iam.RoleARN {
	return iam.RoleARN{Partition: "aws", Account: account, Path: "/", Name: name}
}

func TestTheDocumentDeniesWhatWasIssuedBeforeAndNothingElse(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 500, time.FixedZone("", 3600))
	var got map[string]any
	if err := json.Unmarshal([]byte(Deny{Before: at, SourceIdentities: []string{"corp=u-1"}}.Document()), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Sid": "RolecallRevoke", "Effect": "Deny", "Action": "*", "Resource": "*",
		"Condition": map[string]any{
			"DateLessThan": map[string]any{"aws:TokenIssueTime": "2026-11-23T08:00:01Z"},
			"StringEquals": map[string]any{"aws:SourceIdentity": []any{"corp=u-1"}},
		},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := (Deny{Before: at}).Document(); strings.Contains(text, "SourceIdentity") {
		t.Error(text)
	}
}

func TestEachRoleHasOneCommandAndOneToUndoIt(t *testing.T) {
	t.Parallel()
	apply, undo := Deny{Roles: []iam.RoleARN{role("2", "B"), role("1", "A"), role("2", "B")}}.Commands("f.json")
	if len(apply) != 2 || len(undo) != 2 || !strings.Contains(apply[0], "--role-name A --policy-name rolecall-revoke --policy-document file://f.json") || !strings.Contains(undo[1], "delete-role-policy --role-name B") {
		t.Errorf("%q, %q", apply, undo)
	}
}
