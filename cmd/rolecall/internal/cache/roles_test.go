package cache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

func TestNamesOfRolesAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	names := []string{"production/Admin", "development/Developer"}
	if _, ok := c.Roles(time.Hour); ok {
		t.Error("names out of nothing")
	}
	if err := c.KeepRoles(names); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(time.Minute)
	if got, ok := c.Roles(time.Minute); !ok || cmp.Diff(names, got) != "" {
		t.Errorf("after a minute: %v %v", ok, got)
	}
	if got, ok := c.Roles(time.Second); ok || cmp.Diff(names, got) != "" {
		t.Errorf("too old: %v; the names are %v, for want of better", ok, got)
	}
	clock.now = clock.now.Add(-time.Hour)
	if _, ok := c.Roles(time.Minute); ok {
		t.Error("names of the future were taken")
	}
	other := c
	other.Settings.URL = "https://other.example.com"
	if got, _ := other.Roles(time.Hour); got != nil {
		t.Errorf("another broker's names: %v", got)
	}
	if err := settings.WriteFile(c.rolesPath(), []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Roles(time.Hour); ok {
		t.Error("a damaged file was taken")
	}
}

func TestClearForgetsTheNamesToo(t *testing.T) {
	t.Parallel()
	c, _ := newCache(t)
	if err := c.KeepRoles([]string{"a/B"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Roles(time.Hour); ok || got != nil {
		t.Errorf("still there: %v", got)
	}
}
