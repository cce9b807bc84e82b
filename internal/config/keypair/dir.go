package keypair

import (
	"os"
	"path/filepath"
	"strings"
)

// pairsMax bounds the pairs of a folder.
const pairsMax = 10000

// LoadDir reads every pair of a folder, in the order of the names: NAME.crt, NAME.pem or
// NAME.cer with NAME.key, and a NAME.pem without a NAME.key that holds both. Other files, and
// those whose name begins with a dot, aren't looked at.
func LoadDir(dir string) ([]*Pair, []*Problem) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, []*Problem{problem(dir, "check the path and its permissions", "the folder can't be read: %v", err)}
	}
	files := make(map[string]bool)
	for _, e := range entries {
		files[e.Name()] = true
	}
	var pairs []*Pair
	var problems []*Problem
	for _, e := range entries {
		name, ext := e.Name(), filepath.Ext(e.Name())
		stem := strings.TrimSuffix(name, ext)
		key := stem + ".key"
		switch {
		case strings.HasPrefix(name, "."):
			continue
		case ext == ".key" && !files[stem+".crt"] && !files[stem+".pem"] && !files[stem+".cer"]:
			problems = append(problems, problem(filepath.Join(dir, name), "add "+stem+".crt, or take the key out of the folder", "the key has no certificate beside it"))
			continue
		case ext != ".crt" && ext != ".pem" && ext != ".cer":
			continue
		case !files[key] && ext == ".pem":
			key = name
		case !files[key]:
			problems = append(problems, problem(filepath.Join(dir, name), "add "+key+", or take the certificate out of the folder", "the certificate has no key beside it"))
			continue
		}
		p, problem := Load(filepath.Join(dir, name), filepath.Join(dir, key))
		if problem != nil {
			problems = append(problems, problem)
			continue
		}
		pairs = append(pairs, p)
	}
	switch {
	case len(pairs) > pairsMax:
		problems = append(problems, problem(dir, "split it", "the folder has more than %d pairs", pairsMax))
	case len(pairs) == 0 && len(problems) == 0:
		problems = append(problems, problem(dir, "want NAME.crt with NAME.key, or NAME.pem with both", "the folder has no certificate"))
	}
	return pairs, problems
}
