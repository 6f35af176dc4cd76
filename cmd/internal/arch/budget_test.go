package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// The budget is on the maximum (docs/architecture.md). Files have no exception.
const (
	maxFile      = 500
	maxFunc      = 60
	maxInterface = 5
	maxExported  = 25
)

// excused names what may be larger, with the reason. Keep it short.
var excused = map[string]string{
	"config: exported names": "one type per section of the file",
	"broker: exported names": "the request and answer types of every verb, and the codes",
}

type source struct {
	path  string
	lines int
	file  *ast.File
	fset  *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		found = append(found, source{rel, bytes.Count(text, []byte("\n")), file, fset})
		return err
	})
	if err != nil || len(found) < 50 {
		t.Fatalf("read %d source files: %v", len(found), err)
	}
	return found
}

func TestNoFileIsTooLong(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.lines > maxFile {
			t.Errorf("%s has %d lines, more than %d: find a natural cut", s.path, s.lines, maxFile)
		}
	}
}

func TestNoFunctionIsTooLong(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if n > maxFunc && excused[s.path+": "+f.Name.Name] == "" {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, f.Name.Name, n, maxFunc)
			}
			if f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: func init does hidden work; call it from a constructor", s.path)
			}
		}
	}
}

func TestNoInterfaceIsTooWide(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterface {
				t.Errorf("%s: interface %s has %d methods, more than %d", s.path, spec.Name, i.Methods.NumFields(), maxInterface)
			}
			return true
		})
	}
}

func TestNoPackageExportsTooMuch(t *testing.T) {
	t.Parallel()
	exported := map[string]int{}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			exported[filepath.Dir(s.path)] += exportedNames(d)
		}
	}
	for dir, n := range exported {
		if n > maxExported && excused[dir+": exported names"] == "" {
			t.Errorf("package %s exports %d names, more than %d", dir, n, maxExported)
		}
	}
}

func exportedNames(d ast.Decl) int {
	n := 0
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.IsExported() {
			n++
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() {
					n++
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.IsExported() {
						n++
					}
				}
			}
		}
	}
	return n
}

// Scripts and golden cases (*.txtar) are tests too; so are the packages that only
// tests import.
func TestThereIsAsMuchTestAsCode(t *testing.T) {
	t.Parallel()
	code, test := 0, scriptLines(t)
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || strings.Contains(s.path, "idptest") || strings.Contains(s.path, "storetest") || strings.Contains(s.path, "pagetest") || strings.Contains(s.path, "scripted") {
			test += s.lines
		} else {
			code += s.lines
		}
	}
	if test < code {
		t.Errorf("%d lines of tests for %d lines of code: less than one for one", test, code)
	}
}

func scriptLines(t *testing.T) int {
	t.Helper()
	lines := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txtar" {
			return err
		}
		text, err := os.ReadFile(path)
		lines += bytes.Count(text, []byte("\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
