package challenge

import "strconv"

// notice is one thing that people are told in a page that does nothing by itself, but for a
// wait that isn't over.
type notice struct {
	status      int
	title, text string
	label       string // of the link to the page asked for
}

func noticeCookies() *notice {
	return &notice{
		403, "Cookies are off",
		"Your browser did its part, but it doesn't keep cookies for this site, so the site can't know it again. " +
			"Allow cookies for this site in the settings of the browser, then try again.", "Try again",
	}
}

func noticeFailed() *notice {
	return &notice{
		403, "That took too long",
		"The answer of your browser was no longer good, or came over another network than the question. " +
			"Trying again mostly helps.", "Try again",
	}
}

func noticeEarly() *notice {
	return &notice{
		503, "A little longer, please",
		"The wait isn't over yet. This page goes on by itself when it is.", "Start again",
	}
}

func noticeEmpty() *notice {
	return &notice{
		400, "Nothing to check",
		"This address is only for the check that some pages of this site begin with.", "Go on to the site",
	}
}

func noticeMethod() *notice {
	return &notice{
		405, "Not possible",
		"This address is only for the check that some pages of this site begin with.", "Go on to the site",
	}
}

// appendNotice appends the page of a notice. refresh is a ticket to come back with after wait
// seconds, or empty.
func appendNotice(dst []byte, n *notice, nonce [NonceLen]byte, in *shown) []byte {
	for i := range noticeParts {
		p := &noticeParts[i]
		dst = append(dst, p.text...)
		switch p.name {
		case "nonce":
			dst = append(dst, nonce[:]...)
		case "title":
			dst = append(dst, n.title...)
		case "text":
			dst = append(dst, n.text...)
		case "label":
			dst = append(dst, n.label...)
		case "link":
			dst = appendLink(dst, in.to)
		case "id":
			dst = appendID(dst, in.requestID)
		case "refresh":
			if len(in.ticket) > 0 {
				dst = appendRefresh(dst, in)
			}
		}
	}
	return dst
}

// shown is what a notice shows of a request.
type shown struct {
	to        []byte
	requestID []byte
	ticket    []byte // one that opened, to come back with after wait seconds; or empty
	wait      int
}

func appendRefresh(dst []byte, in *shown) []byte {
	dst = append(dst, `<meta http-equiv="refresh" content="`...)
	dst = strconv.AppendInt(dst, int64(in.wait), 10)
	dst = append(dst, ";url="+ReservedPath+"?ticket="...)
	dst = append(dst, in.ticket...)
	dst = append(dst, "&amp;to="...)
	dst = appendLink(dst, in.to)
	return append(dst, `">`...)
}
