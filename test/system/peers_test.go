package system

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"sentinel/internal/testkit/program"
)

// command runs a program and returns what it printed on stdout.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// digest answers with the number of bytes received, their digest and how they came.
func digest(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%s %d %x %v", r.Method, n, h.Sum(nil), r.TransferEncoding)
}

func TestCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	o := httptest.NewServer(http.HandlerFunc(digest))
	defer o.Close()
	p := start(t, toOrigin(o.Listener.Addr().String()))
	content := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%d %x", len(content), sha256.Sum256(content))
	empty := fmt.Sprintf("0 %x []", sha256.Sum256(nil))

	t.Run("keep-alive", func(t *testing.T) {
		out := command(t, curl, "-sS", "-w", " %{num_connects}\n", p.url("/1"), "-o", "-", p.url("/2"), "-o", "-", p.url("/3"), "-o", "-")
		connects := regexp.MustCompile(` (\d+)\n`).FindAllStringSubmatch(out, -1)
		if len(connects) != 3 || connects[0][1] != "1" || connects[1][1] != "0" || connects[2][1] != "0" {
			t.Errorf("curl printed %q, want three responses over one connection", out)
		}
		if n := strings.Count(out, "GET "+empty); n != 3 {
			t.Errorf("curl printed %q, want three responses", out)
		}
	})
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"post 5 MiB", "POST " + sum + " []", []string{"--data-binary", "@" + file, "-H", "Expect:"}},
		{"put 5 MiB", "PUT " + sum + " []", []string{"-T", file}},
		{"expect", "POST " + sum + " []", []string{"--data-binary", "@" + file, "-H", "Expect: 100-continue"}},
		{"chunked", "POST " + sum + " [chunked]", []string{"--data-binary", "@" + file, "-H", "Transfer-Encoding: chunked"}},
		{"chunked expect", "POST " + sum + " [chunked]", []string{"--data-binary", "@" + file, "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"}},
		{"http/1.0", "GET " + empty, []string{"--http1.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := command(t, curl, append([]string{"-sS", "--max-time", "30", p.url("/x")}, c.args...)...)
			if out != c.want {
				t.Errorf("curl %v = %q, want %q", c.args, out, c.want)
			}
		})
	}
	t.Run("expect is answered", func(t *testing.T) {
		cmd := exec.Command(curl, "-sSv", "--data-binary", "@"+file, "-H", "Expect: 100-continue", "--expect100-timeout", "30", p.url("/x"))
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("HTTP/1.1 100 Continue")) {
			t.Errorf("curl: %v, want a 100 response in %q", err, out)
		}
	})
}

func TestWrk(t *testing.T) {
	wrk := tool(t, "wrk", "wrk")
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer o.Close()
	p := start(t, toOrigin(o.Listener.Addr().String()))
	out := command(t, wrk, "-t1", "-c32", "-d2s", p.url("/"))
	t.Log(out)
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Errorf("wrk saw errors:\n%s", out)
	}
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
	if m == nil || len(m[1]) < 3 {
		t.Errorf("wrk made too few requests:\n%s", out)
	}
	p.awaitSeries(`sentinel_open_connections{listener="http"}`, "0")
}

const nginxConfig = `
daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
    server { listen %[2]s; root %[1]s/files; }
}
`

// startNginx serves the folder it returns.
func startNginx(t *testing.T) (address, files string) {
	t.Helper()
	nginx := tool(t, "nginx", "nginx-light")
	dir, address := t.TempDir(), program.FreeAddress(t)
	files = filepath.Join(dir, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		t.Fatal(err)
	}
	// Run by root, its worker is another user.
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, address), 0o644); err != nil {
		t.Fatal(err)
	}
	log := newLogBuffer()
	cmd := exec.Command(nginx, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	await(t, "nginx answers", func() bool { return !refused(address) })
	return address, files
}

func TestNginx(t *testing.T) {
	curl := tool(t, "curl", "curl")
	address, files := startNginx(t)
	content := strings.Repeat("0123456789", 300_000)
	for name, text := range map[string]string{"small.txt": "small", "large.bin": content, "empty": ""} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, toOrigin(address))
	wantGet(t, p.url("/small.txt"), 200, "small")
	wantGet(t, p.url("/empty"), 200, "")
	if code, body := get(t, p.url("/large.bin")); code != 200 || body != content {
		t.Errorf("GET /large.bin = %d with %d bytes, want 200 with %d", code, len(body), len(content))
	}
	if code, _ := get(t, p.url("/missing")); code != 404 {
		t.Errorf("GET /missing = %d, want 404", code)
	}
	etag := header(t, "GET", p.url("/small.txt"), nil).Get("ETag")
	for _, c := range []struct {
		method, path, name, value string
		code                      int
		body                      string
		length                    string
	}{
		{"GET", "/small.txt", "If-None-Match", etag, 304, "", ""},
		{"GET", "/large.bin", "Range", "bytes=5-14", 206, "5678901234", "10"},
		{"GET", "/large.bin", "Range", "bytes=-3", 206, "789", "3"},
		{"GET", "/small.txt", "Range", "bytes=99-", 416, "*", ""},
		{"HEAD", "/large.bin", "", "", 200, "", fmt.Sprint(len(content))},
		{"HEAD", "/missing", "", "", 404, "", "*"},
		{"GET", "/large.bin", "Range", "bytes=0-1,4-5", 206, "*", ""},
	} {
		t.Run(c.method+c.path+" "+c.value, func(t *testing.T) {
			resp, body := do(t, c.method, p.url(c.path), map[string]string{c.name: c.value})
			if resp.StatusCode != c.code || c.body != "*" && body != c.body {
				t.Errorf("%d %.40q, want %d %q", resp.StatusCode, body, c.code, c.body)
			}
			if got := resp.Header.Get("Content-Length"); c.length != "" && c.length != "*" && got != c.length {
				t.Errorf("Content-Length %s, want %s", got, c.length)
			}
		})
	}
	t.Run("one connection for all", func(t *testing.T) {
		args := []string{"-sS", "-w", "%{http_code}/%{num_connects} ", "-o", os.DevNull, "-I", p.url("/small.txt")}
		args = append(args, "-o", os.DevNull, p.url("/large.bin"), "-o", os.DevNull, p.url("/missing"))
		if out := command(t, curl, args...); out != "200/1 200/0 404/0 " {
			t.Errorf("curl printed %q, want three responses over one connection", out)
		}
	})
}

// do makes one request with fields; an empty name is left out.
func do(t *testing.T, method, url string, fields map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		if name != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func header(t *testing.T, method, url string, fields map[string]string) http.Header {
	t.Helper()
	resp, _ := do(t, method, url, fields)
	return resp.Header
}
