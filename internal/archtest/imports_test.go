package archtest

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "sentinel"

// root is the folder of the module, seen from this package.
const root = "../.."

// sources returns the Go files of the module outside of tests, by package path.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	byPackage := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "out" || path != root && strings.HasPrefix(name, ".") || path == root+"/bench/caddy") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			dir, _ := filepath.Rel(root, filepath.Dir(path))
			byPackage[filepath.ToSlash(dir)] = append(byPackage[filepath.ToSlash(dir)], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return byPackage
}

// rules reads imports.txt: a line "package: what it may import, ...".
func rules(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open("imports.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	allowed := make(map[string][]string)
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		name, list, ok := strings.Cut(line, ":")
		if ok {
			allowed[strings.TrimSpace(name)] = strings.Fields(strings.ReplaceAll(list, ",", " "))
		}
	}
	return allowed
}

func TestImports(t *testing.T) {
	allowed := rules(t)
	for pkg, files := range sources(t) {
		may, known := allowed[pkg]
		if !known {
			t.Errorf("imports.txt has no line for %s", pkg)
			continue
		}
		for _, file := range files {
			for _, imported := range importsOf(t, file) {
				if !slices.Contains(may, imported) {
					t.Errorf("%s imports %s; imports.txt doesn't let %s", file, imported, pkg)
				}
			}
		}
	}
	for pkg := range allowed {
		if _, err := os.Stat(filepath.Join(root, pkg)); err != nil {
			t.Errorf("imports.txt has a line for %s, which doesn't exist", pkg)
		}
	}
}

// importsOf returns what a file imports: packages of the module without its name and
// "internal/", others by their path. The standard library is free.
func importsOf(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range f.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		if own, ok := strings.CutPrefix(path, module+"/"); ok {
			out = append(out, strings.TrimPrefix(own, "internal/"))
		} else if strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
			out = append(out, path)
		}
	}
	return out
}

// TestDataPlaneIsAlone holds the rules that no edit of imports.txt may change.
func TestDataPlaneIsAlone(t *testing.T) {
	for pkg, may := range rules(t) {
		for _, imported := range may {
			plane := strings.HasPrefix(pkg, "internal/dataplane/")
			switch {
			case plane && (strings.HasPrefix(imported, "config/") || strings.HasPrefix(imported, "control/") || imported == "cli"):
				t.Errorf("%s may import %s", pkg, imported)
			case imported == "cli" && pkg != "cmd/sentinel":
				t.Errorf("%s may import cli", pkg)
			case pkg == "internal/config/schema" && imported != "config/kdl":
				t.Errorf("schema may import %s", imported)
			case pkg == "internal/dataplane/h1" && imported == "dataplane/exchange":
				t.Errorf("an engine may import the spine")
			}
		}
	}
}
