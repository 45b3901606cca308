/* Load for a forward proxy: an origin, and a client that keeps N conversations in flight. One thread each, epoll.
 *
 *   tunnel_load origin ADDRESS:PORT              answers a TLS record with 512 octets, anything else with a stream
 *   tunnel_load tunnels PROXY TARGET N SECONDS FROM HELLO   CONNECT, ClientHello, first answer, close; counts whole ones
 *   tunnel_load direct  PROXY TARGET N SECONDS FROM HELLO   the same without a CONNECT
 *   tunnel_load refused PROXY TARGET N SECONDS FROM         CONNECT, 403, close
 *   tunnel_load bulk    PROXY TARGET 1 SECONDS FROM HELLO   the same, then octets through one tunnel
 *   tunnel_load idle    PROXY TARGET N SECONDS FROM HELLO   N tunnels that stay open until the end
 *   tunnel_load pages   PROXY TARGET N SECONDS FROM         GET over plain HTTP, a whole 403, on connections kept open
 *
 * PROXY is ADDRESS:PORT, FROM the client's own address, TARGET a host and a port, HELLO a file.
 * Prints "done failed seconds octets".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum stage { FREE, CONNECTING, ASKED, SAID, OPEN };
static struct { enum stage stage; int got, due; } state[65536];
static char head[512], hello[16384], buffer[1 << 18];
static int head_size, hello_size, epoll;
static struct sockaddr_in proxy, from;
static long done, failed, octets;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static struct sockaddr_in address(char *text) {
    char *colon = strchr(text, ':');
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(colon ? atoi(colon + 1) : 0)};
    if (colon) *colon = 0;
    if (inet_pton(AF_INET, text, &a.sin_addr) != 1) { fprintf(stderr, "`%s` is no address\n", text); exit(2); }
    return a;
}

static void watch(int fd, int what, int how) {
    struct epoll_event e = {.events = what, .data.fd = fd};
    epoll_ctl(epoll, how, fd, &e);
}

static void begin(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0 || fd >= 65536) { failed++; if (fd >= 0) close(fd); return; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) { perror("bind"); exit(2); }
    if (connect(fd, (struct sockaddr *)&proxy, sizeof proxy) && errno != EINPROGRESS) { failed++; close(fd); return; }
    state[fd].stage = CONNECTING;
    state[fd].got = state[fd].due = 0;
    watch(fd, EPOLLOUT, EPOLL_CTL_ADD);
}

static void end(int fd, int whole, int again) {
    if (whole) done++; else failed++;
    state[fd].stage = FREE;
    close(fd);
    if (again) begin();
}

/* Takes a piece of a page; a whole one is followed by the next request. */
static void page(int fd, ssize_t n) {
    if (!state[fd].due) {
        buffer[n] = 0;
        char *body = strstr(buffer, "\r\n\r\n"), *length = strcasestr(buffer, "content-length:");
        if (memcmp(buffer + 9, "403", 3) || !body || !length) { end(fd, 0, 1); return; }
        state[fd].due = (int)(body + 4 - buffer) + atoi(length + 15);
    }
    state[fd].got += n;
    if (state[fd].got < state[fd].due) return;
    done++;
    state[fd].got = state[fd].due = 0;
    if (write(fd, head, head_size) != head_size) end(fd, 0, 1);
}

static void client(int fd, const char *mode) {
    int refused = *mode == 'r', bulk = *mode == 'b', idle = *mode == 'i', direct = *mode == 'd';
    if (state[fd].stage == CONNECTING) {
        const char *first = direct ? hello : head;
        int size = direct ? hello_size : head_size;
        if (write(fd, first, size) != size) { end(fd, 0, 1); return; }
        state[fd].stage = direct ? SAID : ASKED;
        watch(fd, EPOLLIN, EPOLL_CTL_MOD);
        return;
    }
    ssize_t n = read(fd, buffer, sizeof buffer - 1);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) return;
        end(fd, 0, !idle);
        return;
    }
    octets += n;
    if (*mode == 'p') { page(fd, n); return; }
    if (state[fd].stage == ASKED) {
        int ok = n > 12 && !memcmp(buffer + 9, "200", 3);
        if (refused) { end(fd, n > 12 && !memcmp(buffer + 9, "403", 3), 1); return; }
        if (!ok) { end(fd, 0, !idle); return; }
        state[fd].stage = SAID;
        if (write(fd, hello, hello_size) < 0) end(fd, 0, !idle);
        return;
    }
    if (state[fd].stage == OPEN) return;
    state[fd].got += n;
    if (state[fd].got < 512) return;
    if (bulk) { state[fd].stage = OPEN; done++; octets = 0; if (write(fd, "\0", 1) < 0) end(fd, 0, 1); return; }
    if (idle) { if (state[fd].stage == SAID) { state[fd].stage = OPEN; done++; } return; }
    end(fd, 1, 1);
}

static void origin(int fd, int listener) {
    if (fd == listener) {
        int made, one = 1;
        while ((made = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
            if (made >= 65536) { close(made); continue; }
            setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            state[made].stage = OPEN;
            watch(made, EPOLLIN, EPOLL_CTL_ADD);
        }
        return;
    }
    if (state[fd].stage == OPEN) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n <= 0) { close(fd); return; }
        if (buffer[0] == 0x16) { if (write(fd, head, 512) < 0) close(fd); return; }
        state[fd].stage = SAID;
        watch(fd, EPOLLOUT | EPOLLIN, EPOLL_CTL_MOD);
        return;
    }
    while (write(fd, hello, sizeof hello) > 0) { }
    if (errno != EAGAIN) close(fd);
}

int main(int argc, char **argv) {
    struct epoll_event events[512];
    struct rlimit limit = {65536, 65536};
    int listener = -1, is_origin = argc > 2 && *argv[1] == 'o';
    if (argc < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    if (setrlimit(RLIMIT_NOFILE, &limit)) { getrlimit(RLIMIT_NOFILE, &limit); limit.rlim_cur = limit.rlim_max; setrlimit(RLIMIT_NOFILE, &limit); }
    epoll = epoll_create1(0);
    proxy = address(argv[2]);
    if (is_origin) {
        int one = 1;
        listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(listener, (struct sockaddr *)&proxy, sizeof proxy) || listen(listener, 4096)) { perror("listen"); return 1; }
        memcpy(head, "\x15\x03\x03\x01\xfb", 5);
        watch(listener, EPOLLIN, EPOLL_CTL_ADD);
        for (;;)
            for (int i = 0, n = epoll_wait(epoll, events, 512, -1); i < n; i++) origin(events[i].data.fd, listener);
    }
    if (argc < 7) return 2;
    from = address(argv[6]);
    if (*argv[1] == 'p')
        head_size = snprintf(head, sizeof head, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\nAccept: text/html\r\n"
                             "Accept-Language: ko, en\r\n\r\n", argv[3], argv[3]);
    else
        head_size = snprintf(head, sizeof head, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3], argv[3]);
    if (argc > 7) {
        int file = open(argv[7], O_RDONLY);
        hello_size = (int)read(file, hello, sizeof hello);
        if (hello_size <= 0) { perror(argv[7]); return 1; }
    }
    int many = atoi(argv[4]), idle = *argv[1] == 'i';
    double start = now(), stop = start + atof(argv[5]);
    for (int i = 0; i < many; i++) begin();
    while (now() < stop)
        for (int i = 0, n = epoll_wait(epoll, events, 512, 50); i < n; i++) client(events[i].data.fd, argv[1]);
    printf("%ld %ld %.3f %ld\n", done, failed, now() - start, octets);
    return idle && failed ? 1 : 0;
}
