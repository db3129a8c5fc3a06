/* A crowd of WebSocket clients in one process, told what to do line by line on stdin.

   crowd PORT FIELD

   An update is an occurrence of "FIELD": in a text frame. Commands, each answered with one
   line of JSON:
     open FILE      a client for each line: path, then what it says, parted by tabs; @ is
                    its last cursor. As many again when it is given after `leave`.
     rest           wait until nothing has come for 0.3 s
     settle         the same, and forget what was counted
     mode MODE      what values are: 0 nothing, 1 the moment of sending in microseconds
                    modulo 1e9, 2 a tick's number below 256
     await COUNT    wait until so many updates came since the last `await` or `settle`
     took           how long updates took, in microseconds, since last asked
     deafen COUNT   read no more from the first COUNT clients
     leave          close all connections
     seen COUNT     how many ticks below COUNT clients missed or got twice
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HANDSHAKE = 1, OPEN = 2, AT_ONCE = 100, TICKS = 256, PER_ADDRESS = 20000 };
enum { NO_VALUES, MOMENTS, NUMBERS };

typedef struct {
  int fd, state;
  unsigned char *held;
  size_t size, room;
  char *said, cursor[256];
  unsigned char seen[TICKS];
} Client;

static Client *clients;
static int count, opened, poll_fd, port, mode, left;
static char needle[64];
static size_t needle_size;
static uint64_t updates, errors;
static uint32_t *took;
static size_t took_count;
enum { TOOK_MAX = 1 << 22 };
static double last_s;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t wall_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void note(Client *client, const unsigned char *value) {
  int64_t said = atoll((const char *)value);
  if (mode == MOMENTS) {
    int64_t us = wall_us() % 1000000000 - said;
    if (us < 0) us += 1000000000;
    if (us < 60000000 && took_count < TOOK_MAX) took[took_count++] = (uint32_t)us;
  } else if (mode == NUMBERS && said >= 0 && said < TICKS && client->seen[said] < 255) {
    client->seen[said]++;
  }
}

static void hear(Client *client, const unsigned char *text, size_t size) {
  const unsigned char *end = text + size, *at = text;
  while ((at = memmem(at, (size_t)(end - at), needle, needle_size))) {
    at += needle_size;
    updates++;
    if (mode != NO_VALUES) note(client, at);
  }
  if (mode == NUMBERS && (at = memmem(text, size, "\"cursor\":\"", 10))) {
    size_t n = 0;
    for (at += 10; at < end && *at != '"' && n < sizeof client->cursor - 1; at++)
      client->cursor[n++] = (char)*at;
    client->cursor[n] = 0;
  }
}

static void send_all(Client *client, const void *bytes, size_t size) {
  if (write(client->fd, bytes, size) != (ssize_t)size) errors++;
}

static void say(Client *client, const char *text, size_t text_size) {
  static unsigned char frame[65536];
  size_t size = 0, head;
  for (size_t i = 0; i < text_size && size < 60000; i++) {
    if (text[i] == '@')
      for (char *c = client->cursor; *c; c++) frame[8 + size++] = (unsigned char)*c;
    else
      frame[8 + size++] = (unsigned char)text[i];
  }
  unsigned char *start = frame;
  if (size < 126) {
    start = frame + 2, start[1] = (unsigned char)(0x80 | size), head = 6;
  } else {
    start[1] = 0x80 | 126, start[2] = (unsigned char)(size >> 8);
    start[3] = (unsigned char)size, head = 8;
  }
  start[0] = 0x81;
  memset(start + head - 4, 0, 4); /* a mask of zeros */
  send_all(client, start, head + size);
}

static void say_all(Client *client) {
  char *at = strchr(client->said, '\t');
  while (at) {
    char *next = strchr(at + 1, '\t');
    say(client, at + 1, next ? (size_t)(next - at - 1) : strlen(at + 1));
    at = next;
  }
}

static size_t shake(Client *client) {
  unsigned char *end = memmem(client->held, client->size, "\r\n\r\n", 4);
  if (!end) return 0;
  if (memcmp(client->held, "HTTP/1.1 101", 12)) {
    errors++;
    fprintf(stderr, "%.120s\n", client->held);
  }
  client->state = OPEN;
  left--;
  say_all(client);
  return (size_t)(end - client->held) + 4;
}

static void take(Client *client) {
  size_t at = client->state == HANDSHAKE ? shake(client) : 0;
  while (client->state == OPEN && client->size - at >= 2) {
    unsigned char *p = client->held + at;
    uint64_t size = p[1] & 127;
    size_t head = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (client->size - at < head) break;
    if (head > 2) size = 0;
    for (size_t i = 2; i < head; i++) size = size << 8 | p[i];
    if (client->size - at < head + size) break;
    if ((p[0] & 15) == 9) send_all(client, "\x8a\x80\0\0\0\0", 6);
    if ((p[0] & 15) == 8) errors++;
    if ((p[0] & 15) == 1) hear(client, p + head, size);
    at += head + size;
  }
  memmove(client->held, client->held + at, client->size -= at);
}

static void drop(Client *client) {
  if (client->fd >= 0) close(client->fd);
  if (client->state == HANDSHAKE) left--;
  client->fd = -1, client->state = 0, client->size = 0;
}

static void read_some(Client *client) {
  for (int i = 0; i < 4; i++) {
    if (client->room - client->size < 4096)
      client->held = realloc(client->held, client->room = client->room * 2 + 8192);
    size_t room = client->room - client->size;
    ssize_t got = read(client->fd, client->held + client->size, room);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) errors++, drop(client);
      return;
    }
    client->size += (size_t)got;
    last_s = now_s();
    take(client);
    if ((size_t)got < room) return;
  }
}

static void turn(int wait_ms) {
  static struct epoll_event events[1024];
  int found = epoll_wait(poll_fd, events, 1024, wait_ms);
  for (int i = 0; i < found; i++) {
    Client *client = events[i].data.ptr;
    if (client->fd >= 0) read_some(client);
  }
}

static void join_in(int number) {
  static char request[1024];
  Client *client = &clients[number];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct sockaddr_in from = {.sin_family = AF_INET};
  int one = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number / PER_ADDRESS));
  client->fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bind(client->fd, (void *)&from, sizeof from) ||
      connect(client->fd, (void *)&to, sizeof to)) {
    errors++;
    return drop(client);
  }
  client->state = HANDSHAKE, left++;
  int size = snprintf(request, sizeof request,
                      "GET %.*s HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                      (int)strcspn(client->said, "\t"), client->said, port);
  send_all(client, request, (size_t)size);
  fcntl(client->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

static void open_all(const char *path) {
  char *line = NULL;
  size_t room = 0;
  FILE *file = fopen(path, "r");
  double start_s = now_s();
  opened = 0;
  while (file && getline(&line, &room, file) > 0) {
    line[strcspn(line, "\n")] = 0;
    if (opened == count) {
      errors++;
      break;
    }
    free(clients[opened].said);
    clients[opened].said = strdup(line);
    join_in(opened++);
    while (left >= AT_ONCE) turn(100);
  }
  while (left > 0) turn(100);
  if (file) fclose(file);
  free(line);
  printf("{\"opened\":%d,\"seconds\":%.3f}\n", opened, now_s() - start_s);
}

static void rest(void) {
  last_s = now_s();
  while (now_s() - last_s < 0.3) turn(50);
}

static void settle(void) {
  rest();
  updates = 0, took_count = 0;
  for (int i = 0; i < count; i++) memset(clients[i].seen, 0, TICKS);
  puts("{}");
}

static void await_updates(uint64_t wanted) {
  double start_s = now_s();
  while (updates < wanted && now_s() - start_s < 30) turn(10);
  printf("{\"updates\":%lu,\"seconds\":%.6f}\n", updates, now_s() - start_s);
  updates = 0;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void say_took(void) {
  size_t n = took_count;
  qsort(took, n, sizeof *took, by_size);
  printf("{\"count\":%zu,\"p50\":%u,\"p99\":%u,\"max\":%u}\n", n, n ? took[n / 2] : 0,
         n ? took[n * 99 / 100] : 0, n ? took[n - 1] : 0);
  took_count = 0;
}

static void say_seen(int ticks) {
  int gaps = 0, repeats = 0;
  for (int i = 0; i < opened; i++)
    for (int tick = 0; tick < ticks; tick++) {
      gaps += clients[i].seen[tick] == 0;
      repeats += clients[i].seen[tick] > 1;
    }
  printf("{\"gaps\":%d,\"repeats\":%d,\"errors\":%lu}\n", gaps, repeats, errors);
}

static void deafen(int deaf) {
  int small = 4096; /* or our own kernel takes megabytes for them */
  for (int i = 0; i < deaf; i++) {
    setsockopt(clients[i].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    epoll_ctl(poll_fd, EPOLL_CTL_DEL, clients[i].fd, NULL);
  }
  puts("{}");
}

static void leave(void) {
  for (int i = 0; i < count; i++)
    if (clients[i].fd >= 0) drop(&clients[i]);
  puts("{}");
}

static void obey(char *line) {
  char *word = strtok(line, " \n"), *what = strtok(NULL, " \n");
  long number = what ? atol(what) : 0;
  if (!word) return;
  if (!strcmp(word, "open") && what) open_all(what);
  else if (!strcmp(word, "rest")) rest(), puts("{}");
  else if (!strcmp(word, "settle")) settle();
  else if (!strcmp(word, "mode")) mode = (int)number, puts("{}");
  else if (!strcmp(word, "await")) await_updates((uint64_t)number);
  else if (!strcmp(word, "took")) say_took();
  else if (!strcmp(word, "deafen")) deafen((int)number);
  else if (!strcmp(word, "leave")) leave();
  else if (!strcmp(word, "seen")) say_seen((int)number);
  else puts("{\"unknown\":1}");
  fflush(stdout);
}

static int has_line(void) {
  struct timeval none = {0, 0};
  fd_set in;
  FD_ZERO(&in);
  FD_SET(0, &in);
  return select(1, &in, NULL, NULL, &none) > 0;
}

int main(int words, char **word) {
  static char line[4096];
  struct rlimit files;
  if (words != 3) return 2;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  port = atoi(word[1]);
  needle_size = (size_t)snprintf(needle, sizeof needle, "\"%s\":", word[2]);
  count = (int)(files.rlim_max > 100000 ? 100000 : files.rlim_max) - 64;
  clients = calloc((size_t)count, sizeof *clients);
  for (int i = 0; i < count; i++) clients[i].fd = -1;
  took = malloc(TOOK_MAX * sizeof *took);
  poll_fd = epoll_create1(0);
  setvbuf(stdin, NULL, _IONBF, 0);
  for (;;) {
    turn(1);
    if (has_line()) {
      if (!fgets(line, sizeof line, stdin)) return 0;
      obey(line);
    }
  }
}
