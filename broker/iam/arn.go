// Package iam is AWS's vocabulary with AWS's limits: role ARNs, session names,
// source identities, session tags, session policies and temporary credentials.
// Values that do not fit are refused here, before STS would.
//
// Limits: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
package iam

import (
	"errors"
	"fmt"
	"strings"
)

// Partitions lists the AWS partitions whose ARNs are accepted.
var partitions = map[string]bool{"aws": true, "aws-us-gov": true, "aws-cn": true}

// ErrBadARN marks text that is not the ARN of an IAM role.
var ErrBadARN = errors.New("not the ARN of an IAM role")

// RoleARN is a parsed role ARN: arn:PARTITION:iam::ACCOUNT:role/PATH/NAME. It is
// comparable; the zero value is no role.
type RoleARN struct {
	Partition string
	Account   string
	Path      string // "/" or "/a/b/"
	Name      string
}

// ParseRoleARN reads a role ARN strictly; wildcards are refused.
func ParseRoleARN(s string) (RoleARN, error) {
	bad := func(why string) (RoleARN, error) { return RoleARN{}, fmt.Errorf("%q: %w: %s", clip(s), ErrBadARN, why) }
	if len(s) < 20 || len(s) > 2048 {
		return bad("an ARN has 20 to 2048 characters")
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" {
		return bad("want arn:aws:iam::ACCOUNT:role/NAME")
	}
	if !partitions[parts[1]] {
		return bad("the partition is none of aws, aws-us-gov, aws-cn")
	}
	if !ValidAccountID(parts[4]) {
		return bad("the account is not 12 digits")
	}
	full, ok := strings.CutPrefix(parts[5], "role/")
	if !ok {
		return bad("the resource is not role/NAME")
	}
	cut := strings.LastIndexByte(full, '/')
	path, name := "/"+full[:cut+1], full[cut+1:]
	if !validPath(path) {
		return bad("a path is at most 512 characters, its parts A-Z a-z 0-9 _+=,.@- and neither empty nor dots")
	}
	if name == "" || len(name) > maxName || !allNameBytes(name) {
		return bad("a role's name is 1 to 64 characters of A-Z a-z 0-9 _+=,.@-")
	}
	return RoleARN{Partition: parts[1], Account: parts[4], Path: path, Name: name}, nil
}

// validPath judges "/" or "/a/b/". IAM takes every printable character in a path.
// Only those of names are taken here: the others mean something to policies,
// shells, URLs or lists of ARNs.
func validPath(path string) bool {
	if path == "/" {
		return true
	}
	if len(path) > 512 {
		return false
	}
	for part := range strings.SplitSeq(path[1:len(path)-1], "/") {
		if part == "" || part == "." || part == ".." || !allNameBytes(part) {
			return false
		}
	}
	return true
}

// clip bounds a text that an error repeats.
func clip(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// String gives the ARN.
func (r RoleARN) String() string {
	if r == (RoleARN{}) {
		return ""
	}
	return "arn:" + r.Partition + ":iam::" + r.Account + ":role" + r.Path + r.Name
}

// MarshalText implements encoding.TextMarshaler.
func (r RoleARN) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RoleARN) UnmarshalText(text []byte) error {
	parsed, err := ParseRoleARN(string(text))
	if err == nil {
		*r = parsed
	}
	return err
}

// AssumedRole is the ARN that STS gives a session of the role; it drops the path.
func (r RoleARN) AssumedRole(sessionName string) string {
	return "arn:" + r.Partition + ":sts::" + r.Account + ":assumed-role/" + r.Name + "/" + sessionName
}

// ValidAccountID reports whether s is twelve digits.
func ValidAccountID(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}
