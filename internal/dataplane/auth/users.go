package auth

import (
	"bytes"
	"fmt"
	"sort"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	// usersMax bounds the users of one file.
	usersMax = 65536
	// costMax bounds what one check may cost: 2 to the power of 16 rounds take about three
	// seconds.
	costMax = 16
	// userBytesMax bounds a name.
	userBytesMax = 255
	// problemsMax bounds the problems of one file that are told.
	problemsMax = 20
)

// Problem is a line of a users file that can't be used.
type Problem struct {
	Line       int // counted from 1
	Text, Hint string
}

// Users are names and the hashes of their passwords.
type Users struct {
	list []user // sorted by name
	// decoy is checked for names that nobody has, so that these take as long as others.
	decoy []byte
}

type user struct {
	name, hash []byte
	line       int
}

// ParseUsers reads a users file: lines of name:hash, as htpasswd -B writes them, empty lines
// and those that begin with # aside. Only bcrypt hashes are taken. A file without users is a
// problem of line 0.
func ParseUsers(text []byte) (*Users, []Problem) {
	var problems []Problem
	u := &Users{}
	for number, line := 1, []byte(nil); len(text) > 0 && len(problems) < problemsMax; number++ {
		line, text, _ = bytes.Cut(text, []byte("\n"))
		line = bytes.TrimRight(line, " \t\r")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		name, hash, _ := bytes.Cut(line, []byte(":"))
		if what, hint := checkUser(name, hash); what != "" {
			problems = append(problems, Problem{number, what, hint})
			continue
		}
		u.list = append(u.list, user{bytes.Clone(name), bytes.Clone(hash), number})
	}
	if len(u.list) > usersMax {
		problems = append(problems, Problem{0, fmt.Sprintf("there are more than %d users", usersMax), "use forward-auth or tokens for so many"})
	}
	if len(u.list) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{0, "there is no user", "add one: htpasswd -B FILE NAME"})
	}
	return u, append(problems, u.arrange()...)
}

// checkUser returns what is wrong with a line.
func checkUser(name, hash []byte) (problem, hint string) {
	const bcryptHint = "make the hash anew: htpasswd -B FILE NAME"
	switch {
	case len(name) == 0 || len(hash) == 0:
		return "the line is not name:hash", "write one user a line, as htpasswd -B does"
	case len(name) > userBytesMax:
		return fmt.Sprintf("the name has more than %d bytes", userBytesMax), "shorten it"
	case bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 127 }):
		return "the name holds a control character", "remove it"
	case !isBcrypt(hash):
		return "the hash is " + hashKind(hash) + ", not bcrypt", bcryptHint
	}
	cost, err := bcrypt.Cost(hash)
	switch {
	case err != nil:
		return "the bcrypt hash is damaged", bcryptHint
	case cost > costMax:
		return fmt.Sprintf("a bcrypt cost of %d takes too long to check", cost), fmt.Sprintf("use a cost of at most %d: htpasswd -B -C 10 FILE NAME", costMax)
	}
	return "", ""
}

// bcryptBytes is how long a hash is: version, cost, salt and sum.
const bcryptBytes = 60

func isBcrypt(hash []byte) bool {
	if len(hash) != bcryptBytes {
		return false
	}
	switch string(hash[:4]) {
	case "$2a$", "$2b$", "$2y$":
		return true
	}
	return false
}

// hashKind names what a hash looks like, without a byte of it.
func hashKind(hash []byte) string {
	for prefix, kind := range map[string]string{
		"$apr1$": "Apache's MD5", "$1$": "MD5", "$5$": "SHA-256", "$6$": "SHA-512", "{SHA}": "SHA-1", "$argon2": "Argon2", "$y$": "yescrypt", "$2": "an incomplete one",
	} {
		if strings.HasPrefix(string(hash), prefix) {
			return kind
		}
	}
	return "of an unknown kind, or a password in the clear"
}

// arrange sorts the users and picks the decoy; names that stand twice are problems.
func (u *Users) arrange() (problems []Problem) {
	sort.SliceStable(u.list, func(i, j int) bool { return bytes.Compare(u.list[i].name, u.list[j].name) < 0 })
	most := -1
	for i := range u.list {
		if i > 0 && bytes.Equal(u.list[i].name, u.list[i-1].name) && len(problems) < problemsMax {
			problems = append(problems, Problem{
				u.list[i].line, fmt.Sprintf("the name stands twice; line %d has it, too", u.list[i-1].line), "keep one of them",
			})
		}
		if cost, _ := bcrypt.Cost(u.list[i].hash); cost > most {
			most, u.decoy = cost, u.list[i].hash
		}
	}
	return problems
}

// Check reports whether the password is that of the user called name. It takes about as long
// whether the user exists or not; of passwords bcrypt sees the first 72 bytes.
func (u *Users) Check(name, password []byte) bool {
	i := sort.Search(len(u.list), func(i int) bool { return bytes.Compare(u.list[i].name, name) >= 0 })
	hash, known := u.decoy, false
	if i < len(u.list) && bytes.Equal(u.list[i].name, name) {
		hash, known = u.list[i].hash, true
	}
	return bcrypt.CompareHashAndPassword(hash, password) == nil && known
}
