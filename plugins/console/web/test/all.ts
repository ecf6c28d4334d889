import "./api";
import "./money";
import "./sources";
import "./stream";
import "./texts";
