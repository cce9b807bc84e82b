package fault

// Status codes of gRPC (https://grpc.io, statuscodes) that the proxy itself tells.
const (
	grpcCancelled         = 1
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// GRPC returns the status code that a gRPC call ends with for k. It follows the status, so
// that clients that repeat what is unavailable do so when others would.
func (k Kind) GRPC() uint8 {
	switch k.Status() {
	case 401, 407:
		return grpcUnauthenticated
	case 403, 421:
		return grpcPermissionDenied
	case 404, 405, 501:
		return grpcUnimplemented
	case 408, 504:
		return grpcDeadlineExceeded
	case 413, 414, 429, 431:
		return grpcResourceExhausted
	case 499:
		return grpcCancelled
	case 502, 503:
		return grpcUnavailable
	}
	return grpcInternal
}
