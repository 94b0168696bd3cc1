// Linked with one whole layer and those below it; only the link matters.

int main() {}
